"""Continuing from an earlier model, also after structures were added, removed or reordered."""

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_dycon.engine.plan import Plan
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.first_head import fit_head
from napari_dycon.learning.methods.base import Method
from napari_dycon.learning.networks import NetworkSpec, SegmentationNetwork, build_network


def adopt_plan(fresh: Plan, earlier: Plan) -> Plan:
    """The earlier plan's grid and network with what is new in the study.

    Classes, unlabelled scans and machine may have changed; spacing, intensity scale and network must stay,
    or the weights would mean something else.
    """
    network = earlier.network.model_copy(update={"classes": fresh.network.classes})
    kept = {"network": network, "spacing": earlier.spacing, "intensity": earlier.intensity}
    kept["further"] = earlier.further
    if any(side % d for side, d in zip(fresh.patch_size, network.divisor, strict=True)):
        kept["patch_size"] = earlier.patch_size
    return fresh.model_copy(update=kept)


def same_network(plan: Plan, earlier: Plan) -> bool:
    """Whether two plans differ in nothing of the network that its weights depend on, but classes."""
    return _same_weights(plan.network, earlier.network)


def _same_weights(spec: NetworkSpec, other: NetworkSpec) -> bool:
    free = {"classes", "dropout"}
    return spec.model_dump(exclude=free) == other.model_dump(exclude=free)


def new_structures(plan: Plan, earlier: Plan) -> tuple[str, ...]:
    """Names of structures that an earlier model did not know; their part of the head starts anew."""
    named = zip(plan.structure_values, plan.structure_names, strict=True)
    return tuple(name for value, name in named if value not in earlier.structure_values)


def transfer_weights(method: Method, plan: Plan, earlier: Method, earlier_plan: Plan) -> None:
    """Give the networks of a method the weights of an earlier model, except those of another kind."""
    own_networks, networks = _networks(method), _networks(earlier)
    lead = earlier.deciders()[0]
    for name, network in own_networks.items():
        source = networks.get(name, lead) if type(method) is type(earlier) else lead
        if _same_weights(network.spec, source.spec):
            _transfer(network, source, _pairs(plan, earlier_plan))


def fit_heads(method: Method, batches: Sequence[Batch]) -> None:
    """Fit the head of every network of a method to labelled patches, see `fit_head`."""
    for network in _networks(method).values():
        fit_head(network, batches)


def _pairs(plan: Plan, earlier: Plan) -> list[tuple[int, int]]:
    """Class index now and in the earlier model, for background and every structure that both know."""
    values, before = plan.structure_values, earlier.structure_values
    known = [(values.index(value) + 1, before.index(value) + 1) for value in values if value in before]
    return [(0, 0), *known]


def _networks(method: Method) -> dict[str, SegmentationNetwork]:
    return {name: entry for name, entry in method.named_modules() if isinstance(entry, SegmentationNetwork)}


def _transfer(
    network: SegmentationNetwork, source: SegmentationNetwork, pairs: Sequence[tuple[int, int]]
) -> None:
    axes = _class_axes(source.spec)
    own = network.state_dict()
    for key, value in source.state_dict().items():
        if key in axes:
            _map_classes(own[key], value, axes[key], (network.spec.classes, source.spec.classes), pairs)
        else:
            own[key].copy_(value)


def _map_classes(
    own: Tensor,
    theirs: Tensor,
    axes: Sequence[int],
    classes: tuple[int, int],
    pairs: Sequence[tuple[int, int]],
) -> None:
    """Copy what belongs to known classes along every axis of classes, each a block of equal length."""

    def blocks(axis: int, side: int) -> tuple[Tensor, Tensor]:
        if axis not in axes:
            return torch.arange(side), torch.arange(side)
        length = side // classes[0]
        here, there = (
            [n * length + k for n in column for k in range(length)] for column in zip(*pairs, strict=True)
        )
        return torch.tensor(here), torch.tensor(there)

    places = [blocks(axis, side) for axis, side in enumerate(own.shape)]
    for axis, (_, there) in enumerate(places):
        theirs = theirs.index_select(axis, there)
    own[torch.meshgrid(*(here for here, _ in places), indexing="ij")] = theirs


def _class_axes(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Tensors with axes of classes, and which these are: those that grow with one class more."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        one, other = (
            {key: value.shape for key, value in build_network(entry).state_dict().items()}
            for entry in (spec, spec.model_copy(update={"classes": spec.classes + 1}))
        )
    return {
        key: tuple(
            axis for axis, sides in enumerate(zip(shape, other[key], strict=True)) if len(set(sides)) > 1
        )
        for key, shape in one.items()
        if shape != other[key]
    }
