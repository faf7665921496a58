"""Asking about many points, a block at a time."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gaussians import gaussian

from flows.core import Batch
from flows.evaluation import blocks

FRESH_PAGES = """
import resource
import torch
from flows.evaluation.blocks import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        [torch.ones(2**18) for _ in range(20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have rules of their own")
def test_memory_that_was_freed_is_used_again():
    """In a process of its own: what others have freed raises the threshold too."""
    command = [sys.executable, "-c", FRESH_PAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert int(done.stdout) < 50  # fewer than one for each


def test_large_examples_come_in_smaller_blocks(monkeypatch):
    sizes, flow = [], gaussian(8)
    whole = flow.log_prob(torch.arange(80.0).double().view(10, 8))
    monkeypatch.setattr(blocks, "NUMBERS", 24)
    monkeypatch.setattr(flow, "log_prob", lambda x, c, ask=flow.log_prob: sizes.append(len(x)) or ask(x, c))
    found = blocks.log_prob(flow, Batch(torch.arange(80.0).double().view(10, 8)))
    assert sizes == [3, 3, 3, 1]
    assert torch.equal(found, whole)
