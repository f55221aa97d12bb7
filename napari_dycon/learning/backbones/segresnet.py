"""SegResNet, MONAI's residual encoder with a light decoder (Myronenko 2018, without its auto-encoder)."""

from __future__ import annotations

from torch import Tensor

from napari_dycon.errors import TrainingError
from napari_dycon.learning.networks import (
    EMBEDDING_STRIDE,
    NetworkSpec,
    SegmentationNetwork,
    backbones,
    cumulative_strides,
    nearest_scale,
    projection_head,
    require,
)

GROUPS = 8
MOST_BLOCKS = 4


class SegResNetBackbone(SegmentationNetwork):
    """The network of a spec whose widths double, whose strides are all 2 and whose kernels are all 3."""

    def __init__(self, spec: NetworkSpec) -> None:
        from monai.networks.nets.segresnet import SegResNet

        stages, first = len(spec.widths), spec.widths[0]
        if first % GROUPS:
            raise TrainingError(f"The first width of a segresnet is a multiple of {GROUPS}, not {first}.")
        require(
            spec,
            widths=tuple(first * 2**stage for stage in range(stages)),
            strides=((2, 2, 2),) * (stages - 1),
            kernels=((3, 3, 3),) * stages if spec.kernels else (),
        )
        scales = (*reversed(cumulative_strides(spec.strides)), (1, 1, 1))
        stage = nearest_scale(scales, EMBEDDING_STRIDE)
        super().__init__(spec, scales[stage])
        self.embedded_stage = stage
        self.network = SegResNet(
            init_filters=first,
            in_channels=spec.in_channels,
            out_channels=spec.classes,
            norm=("GROUP", {"num_groups": GROUPS}),
            blocks_down=tuple(min(1 + number, MOST_BLOCKS) for number in range(stages)),
            blocks_up=(1,) * (stages - 1),
        )
        self.projector = projection_head(spec.widths[-1 - stage], spec.projection)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and the features of the decoder stage of cells about eight voxels wide."""
        net = self.network
        _, skips = net.encode(x)
        stages = [self.dropout(skips.pop())]
        for up, refine in zip(net.up_samples, net.up_layers, strict=True):
            stages.append(refine(up(stages[-1]) + skips.pop()))
        return net.conv_final(self.dropout(stages[-1])), stages[self.embedded_stage]


backbones("segresnet")(SegResNetBackbone)
