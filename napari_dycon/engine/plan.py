"""The plan of a run: everything a user should not have to choose, as data."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import psutil
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from napari_dycon.engine.anatomy import names_tell_sides
from napari_dycon.engine.device import DeviceName, fast_bfloat16, resolve_device
from napari_dycon.engine.fingerprint import Fingerprint, Triple
from napari_dycon.engine.intensity import Channel, Intensity
from napari_dycon.engine.processor import available_cores
from napari_dycon.errors import TrainingError
from napari_dycon.hints import NOT_BY_HAND, PLANNED, Hint
from napari_dycon.learning.networks import NetworkSpec
from napari_dycon.study.store.preflight import CPU_VOXELS, MOST_CPU_VOXELS

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
Size = tuple[int, int, int]
Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]

FINE_VOXELS = 64 * 64 * 20
"""Up to so many voxels of a median scan, every machine affords a network that begins at full resolution."""

FEW_CLASSES, BYTES_OF_A_CLASS = 8, 48
"""Bytes by voxel, class and network that a step takes for what is as large as its output; few come free."""

VOXELS_ACROSS = 3
"""So many voxels wide the smallest labelled structure should stay."""

CONTEXT = 10
"""A patch need not be more than so many times as wide as the largest labelled structure."""
FEWEST_SIDE = 32
"""Nor, for that reason, is a side of it made shorter than so many voxels."""
MOST_PATCHES = 8
"""Small patches come in larger batches, of up to so many labelled and unlabelled ones each."""

MOST_CACHE = 2**30
"""Prepared scans are held in memory up to so many bytes; the system keeps files in spare memory anyway."""

MISSING = 0.2
"""Where images are missing in some cases, each is left out of so large a share of the other patches."""

SMALLEST_PATCH = 16
"""No side of a patch is planned below this many voxels, but across thick slices; smaller scans are padded."""

THICK = 3
"""Slices so many times as thick as their voxels are wide are treated as a stack of images (nnU-Net: 3)."""


class Machine(BaseModel):
    """What a plan must fit into; memory in bytes, that of the graphics card where one is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: DeviceName
    memory: int
    cores: int
    bfloat16: bool = False

    @classmethod
    def detect(cls, device: str = "auto") -> "Machine":
        """Describe this machine.

        Raises
        ------
        TrainingError
            When the wished device is not there.
        """
        name = resolve_device(device)
        memory = psutil.virtual_memory().total
        bfloat16 = name == "cpu" and fast_bfloat16()
        if name == "cuda":
            memory = torch.cuda.get_device_properties(0).total_memory
            bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return cls(device=name, memory=int(memory), cores=available_cores(), bfloat16=bfloat16)


class Augmentation(BaseModel):
    """Strength of the augmentation; every ``…_p`` is a probability by patch.

    Parameters
    ----------
    mirror
        Axes (x, y, z) that may be flipped.
    flat
        Axes (x, y, z) across thick slices, along which no turn, zoom, displacement or blur mixes anything.
    rotation, rotation_p
        Largest rotation about each axis (x, y, z), degrees; how often.
    scale, scale_p
        Smallest and largest zoom; how often.
    elastic, elastic_p
        Standard deviation of a smooth random displacement, voxels; how often.
    contrast_p, gamma_p, noise_p, blur_p
        How often contrast or gamma are changed, noise is added, details are blurred.
    low_resolution_p
        How often a patch looks as if it had been scanned with larger voxels.
    bias_p
        How often one side of a patch is brighter, as by the coil of an MR.
    cutout_p
        How often a box of a patch is blanked out.
    missing_p
        How often each image but the scan is left out, as it is where a case lacks it.
    strong
        Factor on all probabilities of intensity changes in the student's view of unlabelled patches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mirror: Annotated[tuple[bool, bool, bool], PLANNED] = (True, True, True)
    flat: Annotated[tuple[bool, bool, bool], PLANNED] = (False, False, False)
    rotation: Annotated[Triple, Hint(unit="degrees", planned=True)] = (20.0, 20.0, 30.0)
    rotation_p: Probability = 0.7
    scale: tuple[float, float] = (0.75, 1.3)
    scale_p: Probability = 0.6
    elastic: Annotated[float, Hint(unit="voxels", planned=True)] = 3.0
    elastic_p: Probability = 0.3
    contrast_p: Probability = 0.5
    gamma_p: Probability = 0.4
    noise_p: Probability = 0.3
    blur_p: Probability = 0.2
    low_resolution_p: Probability = 0.2
    bias_p: Probability = 0.3
    cutout_p: Probability = 0.2
    missing_p: Annotated[Probability, PLANNED] = 0.0
    strong: float = Field(default=1.5, ge=1)


class Plan(BaseModel):
    """A complete recipe for training and prediction; saved with the run as ``plan.json``.

    Sizes and spacings are by canonical (RAS) axis ``(x, y, z)``; spacing in mm.

    Parameters
    ----------
    structure_values, structure_names
        Label values and names of the structures, in the order of the classes after background.
    wholes
        Label values of the parts of each whole, by its name: what counts as one more structure.
    network
        The network.
    spacing
        Size of the voxels that are trained on, by axis (x, y, z); scans are resampled to it.
    patch_size
        Voxels of the pieces of a scan that a step sees, by axis (x, y, z). Larger ones show more of the
        surroundings and take more memory and time.
    batch_labelled, batch_unlabelled
        Labelled and unlabelled patches of a step.
    precision
        How numbers are kept: 32 bits, or 16 where the machine is faster with them.
    intensity
        How scanner values become network input.
    further
        The images of a case beside the scan, in the order of the network's input.
    augmentation
        How patches are varied.
    foreground_share
        Share of the labelled patches that are drawn around a structure.
    optimiser
        What turns gradients into steps.
    learning_rate
        Size of the steps at the start; it falls to 0 in the course of the run.
    weight_decay
        How strongly weights are drawn to 0.
    momentum
        How long past gradients go on; of the optimiser sgd alone.
    gradient_clip
        Largest norm of a gradient; a larger one is made that long.
    warm_start_progress
        Where in its course a run begins that continues from an earlier one: later is gentler.
    fitted_head
        Whether a run that continues from no earlier one begins with a head that is fitted to its labels.
    overlap
        Share by which neighbouring windows overlap in prediction.
    averaged
        Whether a final prediction is the mean over mirrored views of the scan.
    single
        Structures of whose prediction only the largest piece is kept, by label value.
    joint
        Groups of structures of whose prediction only what hangs together with most of the group is kept.
    specks
        Volume in mm³, by label value, of which a predicted piece of a structure is too small to be one.
    cache_bytes
        Prepared scans up to this size stay in memory; the rest is read from the study's cache folder.
    method_settings
        Settings of the learning method, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    structure_values: Annotated[tuple[int, ...], NOT_BY_HAND]
    structure_names: Annotated[tuple[str, ...], NOT_BY_HAND]
    wholes: Annotated[dict[str, tuple[int, ...]], NOT_BY_HAND] = {}
    network: NetworkSpec
    spacing: Annotated[tuple[Millimetres, Millimetres, Millimetres], Hint(unit="mm", planned=True)]
    patch_size: Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], Hint(unit="voxels", planned=True)]
    batch_labelled: Annotated[int, Field(ge=1), PLANNED] = 2
    batch_unlabelled: Annotated[int, Field(ge=0), PLANNED] = 2
    precision: Annotated[Precision, PLANNED] = "32-true"
    intensity: Intensity = Intensity()
    further: Annotated[tuple[Channel, ...], NOT_BY_HAND] = ()
    augmentation: Augmentation = Augmentation()
    foreground_share: float = Field(default=0.5, ge=0, le=1)
    optimiser: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=3e-5, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    gradient_clip: float = Field(default=5.0, gt=0)
    warm_start_progress: float = Field(default=0.3, ge=0, lt=1)
    fitted_head: bool = True
    overlap: float = Field(default=0.5, ge=0, lt=1)
    averaged: bool = True
    single: Annotated[tuple[int, ...], NOT_BY_HAND] = ()
    joint: Annotated[tuple[tuple[int, ...], ...], NOT_BY_HAND] = ()
    specks: Annotated[dict[int, float], NOT_BY_HAND] = {}
    cache_bytes: Annotated[int, PLANNED] = 2 * 2**30
    method_settings: Annotated[dict[str, Any], NOT_BY_HAND] = {}

    @property
    def classes(self) -> int:
        """Number of classes with background."""
        return 1 + len(self.structure_values)

    @property
    def whole_classes(self) -> tuple[tuple[int, ...], ...]:
        """Class indices of the parts of each whole."""
        index = {value: n for n, value in enumerate(self.structure_values, start=1)}
        return tuple(tuple(index[value] for value in parts) for parts in self.wholes.values())

    @property
    def intensities(self) -> tuple[Intensity, ...]:
        """How the values of each image of a case become network input, those of the scan first."""
        return self.intensity, *(channel.intensity for channel in self.further)

    @property
    def views(self) -> tuple[tuple[int, ...], ...]:
        """Axes to flip for each view of a scan that a final prediction is the mean of; first the plain one.

        Mirrors alone that training has shown, one axis at a time: two at once bring little more.
        """
        return ((), *((axis,) for axis in range(3) if self.averaged and self.augmentation.mirror[axis]))


def make_plan(
    fingerprint: Fingerprint,
    machine: Machine,
    overrides: Mapping[str, Any] | None = None,
    networks: float = 1.0,
) -> Plan:
    """Plan training for a study on a machine.

    Parameters
    ----------
    networks
        How much memory the networks that a method trains at once take, in networks of the plan.
    overrides
        Fields of :class:`Plan` to set by hand; ``network`` and ``augmentation`` may be given in part.

    Raises
    ------
    TrainingError
        When there is nothing to plan for or an override does not exist or fit.
    """
    if not fingerprint.cases:
        raise TrainingError("This study has no scans yet; add at least one scan.")
    if not fingerprint.structures:
        raise TrainingError("This study has no structures yet; add the structure you want to segment.")
    wishes = _with_plain_kernels(overrides or {})
    gpu = machine.device != "cpu"
    spacing = _spacing(wishes.pop("spacing", None) or _target_spacing(fingerprint, gpu))
    size = _median_size(fingerprint, spacing)
    fine = machine.device == "cuda" or math.prod(size) <= FINE_VOXELS
    widths, strides, kernels = _stages(spacing, size, gpu, fine)
    plan = Plan(
        structure_values=tuple(value for value, _ in fingerprint.structures),
        structure_names=tuple(name for _, name in fingerprint.structures),
        wholes=fingerprint.wholes,
        network=NetworkSpec(
            in_channels=1 + len(fingerprint.further),
            classes=1 + len(fingerprint.structures),
            widths=widths,
            strides=strides,
            kernels=kernels,
        ),
        spacing=spacing,
        patch_size=size,
        precision=_precision(machine),
        intensity=fingerprint.intensity,
        further=fingerprint.further,
        augmentation=Augmentation(
            mirror=_mirror(fingerprint),
            flat=_flat(spacing),
            rotation=_rotation(spacing),
            elastic=3.0 if gpu else 2.0,
            missing_p=MISSING if fingerprint.incomplete else 0.0,
        ),
        single=fingerprint.single,
        joint=fingerprint.joint,
        specks=fingerprint.specks,
        cache_bytes=min(MOST_CACHE, psutil.virtual_memory().available // 3),
    )
    plan = change_plan(plan, wishes)
    if "patch_size" in wishes:
        return plan
    divisor, voxels = _divisor(plan.network.strides), _patch_voxels(machine, networks, plan.classes)
    usual = _patch_size(size, plan.spacing, divisor, voxels)
    patch = _no_wider(usual, plan.spacing, divisor, fingerprint.largest)
    more = max(1, min(math.prod(usual) // math.prod(patch), MOST_PATCHES // 2))
    batch = {name: more * getattr(plan, name) for name in ("batch_labelled", "batch_unlabelled")}
    return change_plan(plan, {"patch_size": patch} | {k: n for k, n in batch.items() if k not in wishes})


def _with_plain_kernels(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Stages set by hand come without the kernels of the stages that were planned."""
    network = wishes.get("network")
    if not isinstance(network, Mapping) or not {"widths", "strides"} & network.keys():
        return dict(wishes)
    return {**wishes, "network": {"kernels": (), **network}}


def change_plan(plan: Plan, overrides: Mapping[str, Any]) -> Plan:
    """Copy of a plan with some fields set by hand.

    Raises
    ------
    TrainingError
        When a field does not exist or a value does not fit.
    """
    content = plan.model_dump()
    for name, value in overrides.items():
        inner = content.get(name)
        partial = isinstance(inner, dict) and isinstance(value, Mapping)
        content[name] = {**inner, **value} if partial and isinstance(inner, dict) else value
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TrainingError(f"The plan cannot be changed like this: {place}: {first['msg']}.") from None


def smaller_patch(plan: Plan) -> Plan | None:
    """The plan with a patch of about half the voxels, or None when it cannot shrink."""
    divisor = _divisor(plan.network.strides)
    size = _shrink(plan.patch_size, plan.spacing, divisor, math.prod(plan.patch_size) // 2)
    return None if size == plan.patch_size else plan.model_copy(update={"patch_size": size})


def _spacing(wish: Any) -> Triple:
    try:
        x, y, z = (float(side) for side in wish)
    except (TypeError, ValueError):
        x = y = z = math.nan
    if not all(math.isfinite(side) and side > 0 for side in (x, y, z)):
        raise TrainingError(
            f"The plan cannot be changed like this: spacing: {wish} is not three sizes in mm."
        )
    return x, y, z


def _target_spacing(fingerprint: Fingerprint, gpu: bool) -> Triple:
    """Median spacing, the finest axes coarsened until a median scan fits the voxel budget.

    A small structure stays several voxels wide as far as a larger budget allows.
    """
    budget = 256 * 256 * 160 if gpu else CPU_VOXELS
    largest = 4 * budget if gpu else MOST_CPU_VOXELS
    needed = math.inf if fingerprint.smallest is None else fingerprint.smallest / VOXELS_ACROSS
    spacing = list(fingerprint.median_spacing)
    extent = fingerprint.median_extent
    while (voxels := math.prod(e / s for e, s in zip(extent, spacing, strict=True))) > budget:
        finest = min(spacing)
        if finest * 1.02 > needed and voxels <= largest:
            break
        spacing = [max(s, finest * 1.02) for s in spacing]
    return _triple([round(s, 4) for s in spacing])


def _median_size(fingerprint: Fingerprint, spacing: Triple) -> Size:
    x, y, z = (max(1, round(e / s)) for e, s in zip(fingerprint.median_extent, spacing, strict=True))
    return x, y, z


def _stages(
    spacing: Triple, size: Size, gpu: bool, fine: bool
) -> tuple[tuple[int, ...], tuple[Size, ...], tuple[Size, ...]]:
    """Widths, strides and kernels; an axis is halved while it is not much coarser than the finest one.

    A fine network begins with a stage at full resolution. Halving goes on until a cell of the deepest stage
    holds as many voxels as after three halvings of all axes (four on a graphics card), so that thick slices
    get more stages. A convolution does not reach across slices twice as thick as its voxels are wide.
    """
    deepest = 8 ** (3 + gpu)
    current, left = list(spacing), list(map(max, size, _least(spacing)))
    strides: list[Size] = [(1, 1, 1)] if fine else []
    kernels = [_kernel(current)] if fine else []
    while math.prod(math.prod(stride) for stride in strides) < deepest:
        halve = [s < 2 * min(current) and n >= 8 for s, n in zip(current, left, strict=True)]
        if not any(halve):
            break
        strides.append((1 + halve[0], 1 + halve[1], 1 + halve[2]))
        current = [s * (1 + h) for s, h in zip(current, halve, strict=True)]
        left = [n // (1 + h) for n, h in zip(left, halve, strict=True)]
        kernels.append(_kernel(current))
    first = 32 if gpu else 16
    widths = tuple(min(first * 2**stage, 320 if gpu else 128) for stage in range(len(strides) + 1))
    kernels.append(kernels[-1])
    return widths, tuple(strides), tuple(kernels) if any(1 in kernel for kernel in kernels) else ()


def _kernel(spacing: Sequence[float]) -> Size:
    x, y, z = (1 if side > 2 * min(spacing) else 3 for side in spacing)
    return x, y, z


def _divisor(strides: Sequence[Size]) -> Size:
    x, y, z = (math.prod(stride[axis] for stride in strides) for axis in range(3))
    return x, y, z


def _patch_voxels(machine: Machine, networks: float, classes: int) -> int:
    """Voxels of a patch; on a CPU time limits them, and memory where there are many structures."""
    of_classes = BYTES_OF_A_CLASS * max(0, classes - FEW_CLASSES)
    if machine.device == "cpu":
        per_voxel = networks * max(1, of_classes)
        return int(min(96 * 64 * 40, max(32**3, 0.25 * machine.memory / 4 / per_voxel)))
    per_voxel = networks * ((2500 if machine.device == "cuda" else 6000) + of_classes)
    return int(min(160 * 160 * 96, max(64**3, 0.5 * machine.memory / 4 / per_voxel)))


def _patch_size(size: Size, spacing: Triple, divisor: Size, voxels: int) -> Size:
    whole = [max(least, n // d * d) for n, d, least in zip(size, divisor, _least(spacing), strict=True)]
    x, y, z = (math.ceil(side / d) * d for side, d in zip(whole, divisor, strict=True))
    return _shrink((x, y, z), spacing, divisor, voxels)


def _no_wider(size: Size, spacing: Triple, divisor: Size, largest: float | None) -> Size:
    """A patch with no more around the largest structure than tells what it is."""
    if largest is None:
        return size
    enough = (max(FEWEST_SIDE, math.ceil(CONTEXT * largest / side)) for side in spacing)
    x, y, z = (min(n, math.ceil(e / d) * d) for n, e, d in zip(size, enough, divisor, strict=True))
    return x, y, z


def _shrink(size: Size, spacing: Triple, divisor: Size, voxels: int) -> Size:
    """Shorten the side that is longest in mm until the patch has at most `voxels` voxels."""
    sides, least = list(size), _least(spacing)
    while math.prod(sides) > voxels:
        free = [a for a in range(3) if sides[a] - divisor[a] >= max(least[a], divisor[a])]
        if not free:
            break
        longest = max(free, key=lambda a: sides[a] * spacing[a])
        sides[longest] -= divisor[longest]
    return sides[0], sides[1], sides[2]


def _least(spacing: Triple) -> Size:
    """Fewest voxels of a patch by axis: a stack of few thick slices is taken as it is."""
    x, y, z = (1 if flat else SMALLEST_PATCH for flat in _flat(spacing))
    return x, y, z


def _precision(machine: Machine) -> Precision:
    if machine.bfloat16:
        return "bf16-mixed"
    return "16-mixed" if machine.device == "cuda" else "32-true"


def _mirror(fingerprint: Fingerprint) -> tuple[bool, bool, bool]:
    """All axes for one structure; left-right alone for several, whose place may be all that tells them apart.

    Not even that when names or labels show that left and right are not alike.
    """
    names = [name for _, name in fingerprint.structures]
    alone = len(names) == 1
    return not (fingerprint.sided or names_tell_sides(names)), alone, alone


def _rotation(spacing: Triple) -> Triple:
    """Rotations out of a thick-slice plane are kept small: they would invent voxels."""
    if max(spacing) <= 2 * min(spacing):
        return 20.0, 20.0, 30.0
    coarse = spacing.index(max(spacing))
    out_of_plane = 0.0 if any(_flat(spacing)) else 8.0
    x, y, z = (30.0 if axis == coarse else out_of_plane for axis in range(3))
    return x, y, z


def _flat(spacing: Triple) -> tuple[bool, bool, bool]:
    """The axis across slices so thick that a voxel mixed from two of them shows what no scan shows."""
    coarse = spacing.index(max(spacing))
    thick = max(spacing) > THICK * sorted(spacing)[1]
    x, y, z = (thick and axis == coarse for axis in range(3))
    return x, y, z


def _triple(values: Sequence[float]) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])
