"""What spline flows refuse."""

from __future__ import annotations

import pytest
import zoo

from flows.config import build
from flows.errors import UserError


@pytest.mark.parametrize("name", ["spline_coupling", "spline_autoregressive"])
def test_a_spline_has_a_knot_to_move(name):
    with pytest.raises(UserError, match=r"model\.bins"):
        build(zoo.node("model", name) | {"bins": 1}, "model", spec=zoo.spec(2))
