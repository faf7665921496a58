"""Shared by all tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "reliability"))  # for `import lives`
sys.path.insert(0, str(Path(__file__).parent))  # for `import zoo`
import checked

checked.check_signatures()

collect_ignore_glob = ["**/conftest.py"]  # not for doctests too, which would import several under one name

settings.register_profile("here", deadline=None, derandomize=True, database=None)
settings.load_profile("here")  # no clock decides, and every run tries the same


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, or one worker would wait for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_documents.py")


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tensors are fastest so, and results don't depend on the machine's cores."""
    torch.set_num_threads(1)
