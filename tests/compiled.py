"""Compile the log-density of each model named, whole, and compare it and its gradients with eager ones."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import zoo

for name in sys.argv[1:]:
    density = zoo.model(name, 3, 2)
    x, c = zoo.data(3, 2, 64, seed=1)
    results = []
    for function in (density.log_prob, torch.compile(density.log_prob, fullgraph=True, backend="aot_eager")):
        log_prob = function(x, c)
        results.append((log_prob, *torch.autograd.grad(log_prob.sum(), [*density.parameters()])))
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, atol=1e-10, rtol=1e-10)
    print(name)
