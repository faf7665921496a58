"""Compile, whole, the log-density of each model named, or both losses of WGANGP; compare with eager ones."""

import sys
from functools import partial
from pathlib import Path

import torch


def main(names: list[str]) -> None:
    import zoo

    for name in names:
        if name == "WGANGP":
            adversaries()
            print(name)
            continue
        density = zoo.model(name, *zoo.example(name))
        x, c = zoo.data(*zoo.example(name), n=64, seed=1)
        results = []
        compiled = torch.compile(density.log_prob, fullgraph=True, backend="aot_eager")
        for function in (density.log_prob, compiled):
            log_prob = function(x, c)
            results.append((log_prob, *torch.autograd.grad(log_prob.sum(), [*density.parameters()])))
        for eager, ours in zip(*results, strict=True):
            torch.testing.assert_close(ours, eager, atol=1e-10, rtol=1e-10)
        print(name)


def adversaries() -> None:
    """The critic's loss holds a gradient, so its own is a second one."""
    import zoo

    from flows.nets import Critic
    from flows.objectives import WGANGP

    shape = (2, 4, 5), 3
    flow, batch = zoo.model("conditional_flow", *shape), zoo.data(*shape, n=8)
    objective = WGANGP(partial(Critic, width=8, depth=2))
    nets = objective.players(flow, zoo.spec(*shape), batch)
    compiled = torch.compile(objective.loss, fullgraph=True, backend="aot_eager")
    for player, net in nets.items():
        noise = objective.noise(player, nets, batch, torch.Generator().manual_seed(0))
        results = []
        for function in (objective.loss, compiled):
            loss, _ = function(player, nets, batch, noise)
            gradients = torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)
            results.append((loss.detach(), *gradients))
        for eager, ours in zip(*results, strict=True):
            torch.testing.assert_close(ours, eager, atol=1e-10, rtol=1e-10)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1:])
