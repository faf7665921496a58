"""Where contenders compute: on the CPU, unless the environment names another device."""

from __future__ import annotations

import os

import torch

from benchmarks.contenders.contender import Work

VARIABLE = "BENCH_DEVICE"
DEVICE = torch.device(os.environ.get(VARIABLE, "cpu"))


def wait(result: object) -> None:
    """Until the device has done all that it was told."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def recorded(work: Work) -> Work:
    """On a GPU: the same kernels, started by one call."""
    if DEVICE.type != "cuda":
        return work
    work()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
