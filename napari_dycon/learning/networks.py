"""Segmentation networks: what they all are, their register, and a residual 3D U-Net and a V-Net."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn

from napari_dycon.errors import TrainingError
from napari_dycon.hints import NOT_BY_HAND, PLANNED, Hint
from napari_dycon.register import Register

EMBEDDING_STRIDE = 8
"""Wanted size, in input voxels, of the cells that the projection head describes (DyCON: 8)."""

Stride = tuple[PositiveInt, PositiveInt, PositiveInt]
Strides = tuple[tuple[int, int, int], ...]


class Output(NamedTuple):
    """What a network returns."""

    logits: Tensor
    """`(B, C, X, Y, Z)` class scores."""
    embedding: Tensor | None
    """`(B, D, x, y, z)` projected features, not normalised; None unless asked for."""


def _require_registered(kind: str) -> str:
    try:
        backbones.get(kind)
    except TrainingError as error:
        raise ValueError(str(error)) from error
    return kind


Kind = Annotated[str, AfterValidator(_require_registered), Hint(choices=lambda: backbones.names())]
"""Name of a registered backbone."""


class NetworkSpec(BaseModel):
    """Everything needed to build a network again.

    Parameters
    ----------
    kind
        Name of a registered backbone.
        "unet": residual U-Net whose first stage already works at the first stride (fast).
        "vnet": V-Net whose first stage works at full resolution (more detail, several times the cost).
    in_channels, classes
        Image channels; classes including background.
    widths
        Feature channels of each stage, finest first.
    strides
        Down-sampling between stages by axis `(X, Y, Z)`, one fewer than widths.
    kernels
        Sides of the convolutions of each stage, odd; 3 everywhere when empty. 1 along an axis keeps slices
        apart.
    projection
        Channels of the embedding.
    dropout
        Share of feature channels dropped at the bottleneck and before the last layer in training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[Kind, PLANNED] = "unet"
    in_channels: Annotated[PositiveInt, NOT_BY_HAND] = 1
    classes: Annotated[int, Field(ge=2, le=254), NOT_BY_HAND] = 2
    widths: Annotated[tuple[PositiveInt, ...], Hint(unit="channels", planned=True)] = (16, 32, 64, 128)
    strides: Annotated[tuple[Stride, ...], PLANNED] = ((2, 2, 2), (2, 2, 2), (2, 2, 2))
    kernels: Annotated[tuple[Stride, ...], Hint(unit="voxels", planned=True)] = ()
    projection: Annotated[PositiveInt, Hint(unit="channels", planned=True)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1), PLANNED] = 0.0

    @model_validator(mode="after")
    def _one_stride_between_stages(self) -> NetworkSpec:
        if len(self.widths) < 2 or len(self.strides) != len(self.widths) - 1:
            raise ValueError("a network needs at least two widths and one stride fewer than widths")
        if self.kernels and len(self.kernels) != len(self.widths):
            raise ValueError("a network needs as many kernels as widths, or none")
        if any(side % 2 == 0 for kernel in self.kernels for side in kernel):
            raise ValueError("the sides of a kernel are odd numbers")
        return self

    def kernel(self, stage: int) -> tuple[int, int, int]:
        """Sides of the convolutions of a stage."""
        return self.kernels[stage] if self.kernels else (3, 3, 3)

    @property
    def divisor(self) -> tuple[int, int, int]:
        """The number by which each side of a patch must be divisible, `(X, Y, Z)`."""
        return cumulative_strides(self.strides)[-1]


class SegmentationNetwork(nn.Module, ABC):
    """A network that segments, and describes cells of what it has seen; what every backbone is.

    A subclass makes its layers, `dropout` in front of its last layer among them, and `projector` last, with
    `projection_head`. It refuses, with a TrainingError, a spec that it cannot follow in every point.

    Parameters
    ----------
    spec
        The plan of the network.
    embedding_stride
        Size of the cells that the embedding describes, in input voxels `(X, Y, Z)`.
    """

    projector: nn.Module

    def __init__(self, spec: NetworkSpec, embedding_stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.spec = spec
        self.embedding_stride = embedding_stride
        self.dropout = nn.Dropout3d(spec.dropout)

    @abstractmethod
    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits `(B, C, X, Y, Z)`, and the features from which `projector` makes the embedding."""

    def forward(self, x: Tensor, *, project: bool = False) -> Output:
        """Segment patches.

        Parameters
        ----------
        x
            `(B, Cin, X, Y, Z)` images; each side divisible by `spec.divisor`.
        project
            Whether to compute the embedding too.

        Raises
        ------
        TrainingError
            If a side is not divisible, or the patch a single cell of the bottleneck.
        """
        self._check(x)
        logits, cells = self.features(x.contiguous())
        return Output(logits, self.projector(cells) if project else None)

    def _check(self, x: Tensor) -> None:
        sides, divisors = tuple(x.shape[2:]), self.spec.divisor
        if any(side % divisor for side, divisor in zip(sides, divisors, strict=True)):
            raise TrainingError(
                f"The network cannot take a patch of {_times(sides)} voxels: its sides must be multiples of "
                f"{_times(divisors)}. Choose another patch size."
            )
        if sides == divisors:  # a single cell has no spread for instance normalisation
            raise TrainingError(
                f"The network cannot take a patch of only {_times(sides)} voxels. Choose a larger patch."
            )


class EncoderDecoder(SegmentationNetwork):
    """An encoder-decoder with skip connections, a segmentation head and a projection head.

    Parameters
    ----------
    spec
        The plan of the network.
    encoder
        Stages from the finest to the bottleneck.
    decoder
        Stages from the bottleneck to the finest, each `(deeper, skip) -> features`.
    head
        From the features of the last decoder stage to logits at full resolution.
    scales
        Cumulative stride of the bottleneck and of every decoder stage.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        encoder: nn.ModuleList,
        decoder: nn.ModuleList,
        head: nn.Module,
        scales: Strides,
    ) -> None:
        stage = nearest_scale(scales, EMBEDDING_STRIDE)
        super().__init__(spec, scales[stage])
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.embedded_stage = stage
        width = (spec.widths[-1], *reversed(spec.widths[:-1]))[stage]
        self.projector = projection_head(width, spec.projection)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and the features of the stage that the projection head reads."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        stages = [self.dropout(skips.pop())]
        for stage in self.decoder:
            stages.append(stage(stages[-1], skips.pop()))
        return self.head(self.dropout(stages[-1])), stages[self.embedded_stage]


class Merge(nn.Module):
    """Decoder stage: up-sample the deeper features, join them with the skip connection, refine.

    Parameters
    ----------
    up, refine
        What up-samples, and what refines the joined features.
    add
        Whether the two are added (V-Net) rather than concatenated (U-Net).
    """

    def __init__(self, up: nn.Module, refine: nn.Module, *, add: bool) -> None:
        super().__init__()
        self.up = up
        self.refine = refine
        self.add = add

    def forward(self, deeper: Tensor, skip: Tensor) -> Tensor:
        """Return refined features at the resolution of `skip`."""
        deeper = self.up(deeper)
        refined: Tensor = self.refine(deeper + skip if self.add else torch.cat([skip, deeper], dim=1))
        return refined


class SubpixelHead(nn.Module):
    """Logits at full resolution from coarser features (sub-pixel convolution, Shi et al. 2016).

    One convolution at the coarse resolution predicts all fine voxels of a cell; on a CPU this costs a third
    of a transposed convolution followed by one at full resolution.

    Parameters
    ----------
    width, classes
        Channels of the features and of the logits.
    stride
        Fine voxels per coarse voxel along each axis.
    kernel
        Sides of the convolution, odd.
    """

    def __init__(
        self, width: int, classes: int, stride: tuple[int, int, int], kernel: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.classes = classes
        self.stride = stride
        self.convolution = nn.Conv3d(width, classes * math.prod(stride), kernel, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, C, X, Y, Z)` logits for `(B, width, X / sx, Y / sy, Z / sz)` features."""
        batch, _, *cells = x.shape
        fine = self.convolution(x).reshape(batch, self.classes, *self.stride, *cells)
        sides = [cell * step for cell, step in zip(cells, self.stride, strict=True)]
        logits: Tensor = fine.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, self.classes, *sides)
        return logits


Builder = Callable[[NetworkSpec], SegmentationNetwork]

backbones: Register[Builder] = Register(
    "network", "napari_dycon.learning.backbones", "napari_dycon.backbones", TrainingError
)
"""What builds the network of a spec, by its kind."""


def build_network(spec: NetworkSpec) -> SegmentationNetwork:
    """Build the network of a spec, with weights from torch's global random numbers.

    Raises
    ------
    TrainingError
        If there is no such kind, or it cannot follow the spec in every point.
    """
    return backbones.get(spec.kind)(spec)


def require(spec: NetworkSpec, **wanted: object) -> None:
    """Refuse a spec with other values than those that a backbone can have.

    Raises
    ------
    TrainingError
        With the settings that would fit.
    """
    if any(getattr(spec, name) != value for name, value in wanted.items()):
        told = "; ".join(f"network.{name}={_json(value)}" for name, value in wanted.items())
        raise TrainingError(f"The network {spec.kind!r} cannot be built so. Set {told}.")


def projection_head(width: int, channels: int) -> nn.Sequential:
    """Return the two-layer perceptron that maps features to embeddings (DyCON, without BatchNorm)."""
    return nn.Sequential(
        nn.Conv3d(width, channels, kernel_size=1),
        nn.GroupNorm(math.gcd(channels, 8), channels),
        nn.ReLU(),
        nn.Conv3d(channels, channels, kernel_size=1),
    )


@backbones("unet")
def _unet(spec: NetworkSpec) -> SegmentationNetwork:
    """Residual U-Net after Kerfoot et al. 2018 (MONAI's `UNet`): every stage down-samples first."""
    widths, strides = spec.widths, spec.strides
    encoder = [
        _residual(before, width, stride, kernel=spec.kernel(stage))
        for stage, (before, width, stride) in enumerate(
            zip((spec.in_channels, *widths), widths[:-1], strides, strict=False)
        )
    ]
    encoder.append(_residual(widths[-2], widths[-1], (1, 1, 1), kernel=spec.kernel(len(widths) - 1)))
    decoder = [
        Merge(
            _up(widths[stage + 1], widths[stage], stride),
            _convolution(2 * widths[stage], widths[stage], kernel_size=spec.kernel(stage)),
            add=False,
        )
        for stage, stride in reversed(list(enumerate((*strides[1:], (1, 1, 1)))))
    ]
    head = SubpixelHead(widths[0], spec.classes, strides[0], spec.kernel(0))
    cumulative = cumulative_strides(strides)
    scales = (cumulative[-1], *reversed(cumulative))
    return EncoderDecoder(spec, nn.ModuleList(encoder), nn.ModuleList(decoder), head, scales)


@backbones("vnet")
def _vnet(spec: NetworkSpec) -> SegmentationNetwork:
    """V-Net after Milletari et al. 2016, with added skip connections as in UA-MT and DyCON."""
    widths, strides = spec.widths, spec.strides
    units = [min(1 + stage, 3) for stage in range(len(widths))]

    def refine(before: int, stage: int) -> nn.Module:
        return _residual(before, widths[stage], (1, 1, 1), units[stage], spec.kernel(stage))

    encoder: list[nn.Module] = [refine(spec.in_channels, 0)]
    for stage, ((before, width), stride) in enumerate(zip(pairwise(widths), strides, strict=True), start=1):
        down = _convolution(before, width, strides=stride, kernel_size=stride, padding=0)
        encoder.append(nn.Sequential(down, refine(width, stage)))
    decoder = [
        Merge(_up(deeper, width, stride), refine(width, stage), add=True)
        for stage, ((width, deeper), stride) in reversed(
            list(enumerate(zip(pairwise(widths), strides, strict=True)))
        )
    ]
    scales = (*reversed(cumulative_strides(strides)), (1, 1, 1))
    head = nn.Conv3d(widths[0], spec.classes, kernel_size=1)
    return EncoderDecoder(spec, nn.ModuleList(encoder), nn.ModuleList(decoder), head, scales)


def _residual(
    before: int,
    width: int,
    stride: tuple[int, int, int],
    units: int = 2,
    kernel: tuple[int, int, int] = (3, 3, 3),
) -> nn.Module:
    from monai.networks.blocks.convolutions import ResidualUnit  # its package alone takes seconds

    unit: nn.Module = ResidualUnit(
        3, before, width, strides=stride, kernel_size=kernel, subunits=units, **_STYLE
    )
    return unit


def _convolution(before: int, width: int, **options: object) -> nn.Module:
    from monai.networks.blocks.convolutions import Convolution

    convolution: nn.Module = Convolution(3, before, width, **_STYLE, **options)
    return convolution


def _up(before: int, width: int, stride: tuple[int, int, int]) -> nn.Module:
    if stride == (1, 1, 1):
        return nn.Conv3d(before, width, kernel_size=1)
    return nn.ConvTranspose3d(before, width, kernel_size=stride, stride=stride)


_STYLE = {"norm": ("instance", {"affine": True}), "act": ("leakyrelu", {"negative_slope": 0.01})}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _times(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))


def cumulative_strides(strides: Strides) -> Strides:
    """Return the stride of each stage against the image."""

    def product(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
        return a[0] * b[0], a[1] * b[1], a[2] * b[2]

    return tuple(accumulate(strides, product))


def nearest_scale(scales: Strides, wanted: float) -> int:
    """Return the index of the scale whose geometric mean is nearest to `wanted`; the last of equals.

    Bottleneck and first decoder stage can have the same scale; what is learned at the latter reaches both.
    """
    distance = [abs(math.log(math.prod(scale)) / 3 - math.log(wanted)) for scale in scales]
    return max(index for index, found in enumerate(distance) if math.isclose(found, min(distance)))
