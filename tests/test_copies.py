"""Nothing in a step is copied to the device: such a copy waits for it, and can't be captured."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import patch

import pytest
import torch
import zoo
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flows.config import build
from flows.core import AnySubset, Batch, Flow, Spec
from flows.objectives import WGANGP, Likelihood, Masked, Objective
from flows.objectives.critic import critic

BOUNDED = Spec(("a", "b", "c"), (3,), ("d",), (1,), support=((0.0, 1.0), None, (-2.0, 5.0)))


class Elsewhere(TorchDispatchMode):
    """Meanwhile tensors are on the meta device, and any that is on the CPU fails."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            assert not isinstance(leaf, Tensor) or leaf.is_meta, f"{func} makes a tensor on the CPU"
        return made


def _copied(*_: Any, **__: Any) -> Tensor:
    raise AssertionError("a tensor of Python's numbers, which the device has to be sent")


def steps(objective: Objective, model: Any, spec: Spec, batch: Batch) -> None:
    """A turn of each player, all on the meta device."""
    nets = objective.players(model, spec, batch)
    there = Batch(*(None if part is None else part.to("meta") for part in batch))
    for player in dict.fromkeys(objective.cycle):
        noise = objective.noise(player, nets, batch, torch.Generator().manual_seed(0))
        noise = {name: value.to("meta") for name, value in noise.items()}
        moved = {name: net.to("meta") for name, net in nets.items()}
        with Elsewhere(), patch.object(torch.Tensor, "new_tensor", _copied):  # which meta tensors don't show
            objective.loss(player, moved, there, noise)[0].backward()
        nets = {name: net.to_empty(device="cpu") for name, net in moved.items()}


@pytest.mark.parametrize("name", [*zoo.MODELS, *zoo.FIELDS])
@pytest.mark.parametrize("bounded", [False, True])
def test_a_step_copies_nothing_to_the_device(name, bounded):
    if bounded and name in zoo.FIELDS:
        pytest.skip("fields have no bounds")
    shape, context = zoo.example(name)
    spec, batch = zoo.spec(shape, context), zoo.data(shape, context, 8)
    if bounded:
        spec, batch = BOUNDED, Batch(torch.rand(8, 3).double(), torch.rand(8, 1).double())
    config = zoo.node("model", name)
    config |= {key: value for key, value in zoo.SMALL.items() if key in config}
    model = build(config, "model", spec=spec).double()
    with torch.no_grad():
        model.initialise(batch)
    steps(Likelihood(), model, spec, batch)
    if isinstance(model, AnySubset):
        steps(Masked(dict.fromkeys(spec.names[:1], 2.0)), model, spec, batch)
    if isinstance(model, Flow):
        steps(WGANGP(critic, n_critic=1), cast("Flow", model), spec, batch)
