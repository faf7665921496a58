"""What a run sets for all of its process."""

from __future__ import annotations

import subprocess
import sys


def test_null_is_torchs_choice_also_after_a_run_that_chose():
    """In a process of its own, since tests set the number of threads too."""
    program = """
import torch
choice = torch.get_num_threads()
from flows.training.runtime import Runtime
for threads, expected in ((1, 1), (3, 3), (None, choice)):
    Runtime(device="cpu", threads=threads).enter()
    assert torch.get_num_threads() == expected, (threads, torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
