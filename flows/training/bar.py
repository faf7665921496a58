"""How far training is: a bar where somebody watches, else a line now and then."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, final

from tqdm import tqdm

from flows.training.lines import Lines

_BAR = "{n_fmt}/{total_fmt} {bar} {remaining} left{postfix}"


@final
class Bar:
    """A bar on a terminal, unless TQDM_DISABLE is set there; lines elsewhere.

    Args:
        step: Where training begins.
        steps: Where it ends.
    """

    def __init__(self, step: int, steps: int) -> None:
        # tqdm reads TQDM_DISABLE only if `disable` isn't given; None shows the bar on terminals alone
        disable = True if os.environ.get("TQDM_DISABLE") else None
        options: dict[str, Any] = {"bar_format": _BAR, "smoothing": 0, "dynamic_ncols": True}
        self._bar = tqdm(total=steps, initial=step, disable=disable, **options)
        self._lines = Lines(step, steps) if self._bar.disable else None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def move(self, step: int) -> None:
        """Called after each step."""
        if self._lines is None:
            self._bar.update(step - self._bar.n)
        else:
            self._lines.tell(step)

    def say(self, step: int, text: str) -> None:
        """Show something beside the bar."""
        self._bar.n = step
        self._bar.set_postfix_str(text)
