"""Row 34: TensorBoard after a resume shows each step once."""

from __future__ import annotations

import pytest
from lives import live
from runs import KINDS, differences, increasing, scalars
from tricks import dead_at

ARGUMENTS = (*KINDS["realnvp"], "run_dir=run")
PLACE = "flows.training.board:Board.scalars"  # rows of 3, 6, 9 and, after the checkpoint of 8, 12


SLOW = [pytest.param(cut, marks=pytest.mark.slow) for cut in (0, 1)]


@pytest.mark.parametrize("cut", [*SLOW, 200], ids=lambda cut: f"{cut} bytes cut")
def test_row_34_curves_after_a_resume_are_increasing_and_a_torn_tail_is_readable(cut, tmp_path, whole):
    """Killed in the look at step 14; what it wrote at 12 is whole in any case, or lies beyond."""
    life = live(*ARGUMENTS, cwd=tmp_path, tricks=[dead_at(PLACE, 4, after=True)])
    assert life.status == 9
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[: -cut or None])
    torn = scalars(tmp_path / "run")
    assert (sum(map(len, torn.values())) == 4 * 3 + 2 * 2) == (cut < 9)  # the last is speed
    again = live(*ARGUMENTS, cwd=tmp_path)
    assert again.status == 0, again.err
    assert increasing(tmp_path / "run")
    assert differences(tmp_path / "run", whole()) == []
