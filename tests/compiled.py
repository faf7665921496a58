"""Compile the log-density of each model named, whole; compare it and its gradients with eager ones."""

import sys
from pathlib import Path

import torch


def main(names: list[str]) -> None:
    import zoo

    for name in names:
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


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1:])
