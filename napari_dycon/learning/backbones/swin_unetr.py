"""Swin UNETR, MONAI's encoder of shifted windows with a convolutional decoder (Hatamizadeh et al. 2022)."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from napari_dycon.errors import TrainingError
from napari_dycon.learning.networks import (
    NetworkSpec,
    SegmentationNetwork,
    backbones,
    projection_head,
    require,
)

HEADS = (3, 6, 12, 24)
DEPTHS = (2, 2, 2, 2)
FOLD = 12
"""The width is a multiple of so many, so that every stage divides among its heads."""


class SwinUNETRBackbone(SegmentationNetwork):
    """The network of a spec with six stages and five strides of 2; its widths follow from the first one."""

    def __init__(self, spec: NetworkSpec) -> None:
        from monai.networks.nets.swin_unetr import SwinUNETR

        if find_spec("einops") is None:
            raise TrainingError(
                "A swin_unetr needs the package einops: pip install napari-dycon[transformers]."
            )
        width = spec.widths[0]
        if width % FOLD:
            raise TrainingError(f"The first width of a swin_unetr is a multiple of {FOLD}, not {width}.")
        require(
            spec,
            widths=(width, *(width * 2**stage for stage in range(5))),
            strides=((2, 2, 2),) * 5,
            kernels=((3, 3, 3),) * 6 if spec.kernels else (),
        )
        super().__init__(spec, (8, 8, 8))
        with torch.device("cpu"):  # its constructor reads numbers, which a meta device has not
            self.network = SwinUNETR(
                in_channels=spec.in_channels,
                out_channels=spec.classes,
                depths=DEPTHS,
                num_heads=HEADS,
                feature_size=width,
            )
        self.projector = projection_head(4 * width, spec.projection)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and the features of the decoder stage of cells eight voxels wide."""
        net = self.network
        hidden = net.swinViT(x, net.normalize)
        deepest = self.dropout(net.encoder10(hidden[4]))
        deep = net.decoder5(deepest, hidden[3])
        cells = net.decoder4(deep, net.encoder4(hidden[2]))
        middle = net.decoder3(cells, net.encoder3(hidden[1]))
        fine = net.decoder2(middle, net.encoder2(hidden[0]))
        full = net.decoder1(fine, net.encoder1(x))
        return net.out(self.dropout(full)), cells


backbones("swin_unetr")(SwinUNETRBackbone)
