"""Continuing from an earlier model, also after structures were added, removed or reordered."""

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_dycon.engine.plan import Plan
from napari_dycon.learning.methods.base import Method
from napari_dycon.learning.networks import NetworkSpec, SegmentationNetwork, build_network


def adopt_plan(fresh: Plan, earlier: Plan) -> Plan:
    """The earlier plan's grid and network with what is new in the study.

    Classes, unlabelled scans and machine may have changed; spacing, intensity scale and network must stay,
    or the weights would mean something else.
    """
    network = earlier.network.model_copy(update={"classes": fresh.network.classes})
    kept = {"network": network, "spacing": earlier.spacing, "intensity": earlier.intensity}
    if any(side % d for side, d in zip(fresh.patch_size, network.divisor, strict=True)):
        kept["patch_size"] = earlier.patch_size
    return fresh.model_copy(update=kept)


def transfer_weights(method: Method, plan: Plan, earlier: Method, earlier_plan: Plan) -> tuple[str, ...]:
    """Give every network of a method the weights of an earlier model.

    Returns
    -------
    Names of structures that the earlier model did not know; their part of the head starts anew.
    """
    heads = _head_keys(earlier_plan.network)
    weights = earlier.predictor().state_dict()
    for network in (module for module in method.modules() if isinstance(module, SegmentationNetwork)):
        own = network.state_dict()
        for key, value in weights.items():
            if key in heads:
                _map_rows(own[key], value, plan.structure_values, earlier_plan.structure_values)
            else:
                own[key].copy_(value)
        network.load_state_dict(own)
    named = zip(plan.structure_values, plan.structure_names, strict=True)
    return tuple(name for value, name in named if value not in earlier_plan.structure_values)


def _map_rows(own: Tensor, theirs: Tensor, values: Sequence[int], their_values: Sequence[int]) -> None:
    own[0].copy_(theirs[0])
    for row, value in enumerate(values, start=1):
        if value in their_values:
            own[row].copy_(theirs[1 + their_values.index(value)])


def _head_keys(spec: NetworkSpec) -> set[str]:
    """Names of the tensors whose first axis is the class: those that grow with one class more."""
    with torch.device("meta"):
        shapes = [
            {key: value.shape for key, value in build_network(entry).state_dict().items()}
            for entry in (spec, spec.model_copy(update={"classes": spec.classes + 1}))
        ]
    return {key for key, shape in shapes[0].items() if shape != shapes[1][key]}
