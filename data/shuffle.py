"""Orders of examples that lie in runs: what is read together is near, what is in one batch is not."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def shuffled(
    sizes: Tensor, together: int, batch_size: int, generator: torch.Generator, taken: int = 0
) -> Iterator[Tensor]:
    """Index blocks of one epoch: every example once, but for a remainder that fills no batch.

    The runs are cut into as many stretches of neighbours as are kept together. A window takes one run at
    random from each stretch, and its examples are shuffled. So each run is read once, and a window is spread
    evenly over all examples: where they are sorted, a stratified sample of them. The runs of one window
    meet in no other, so a batch is a random sample of its window, not of everything.

    One number is drawn from the generator, at the call; what it fixes takes memory for a number a run and
    for the indices of one window. A start in mid-epoch skips whole windows without looking at them.

    Args:
        sizes: Examples of each run, in order (R,).
        together: Runs of a window.
        batch_size: Length of a block; more than there is gives one block of everything.
        generator: Its state on entry fixes the epoch.
        taken: Blocks to leave out at the start.

    >>> [len(index) for index in shuffled(torch.tensor([4, 4, 3]), 2, 3, torch.Generator())]
    [3, 3, 3]
    """
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    own = torch.Generator().manual_seed(int(seed))
    count = -(-len(sizes) // together)
    stretches = -(-len(sizes) // count)
    runs = torch.rand(stretches, count, generator=own).argsort(1) + count * torch.arange(stretches)[:, None]
    seeds = torch.randint(2**62, (count,), generator=own).tolist()
    windows = [some[some < len(sizes)] for some in runs.T]
    return _blocks(sizes, windows, seeds, min(batch_size, int(sizes.sum())), taken)


def _blocks(
    sizes: Tensor, windows: list[Tensor], seeds: list[int], size: int, taken: int
) -> Iterator[Tensor]:
    starts = sizes.cumsum(0) - sizes
    ends = torch.stack([sizes[window].sum() for window in windows]).cumsum(0).tolist()
    skip = taken * size
    left = torch.empty(0, dtype=torch.long)  # of the window before
    for window, seed, begin, end in zip(windows, seeds, [0, *ends], ends, strict=False):
        if end <= skip:
            continue
        members = _members(starts[window], sizes[window])
        members = members[torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))]
        pool = torch.cat((left, members[max(0, skip - begin) :]))
        full = len(pool) // size * size
        yield from pool[:full].split(size) if full else ()
        left = pool[full:].clone()


def _members(starts: Tensor, sizes: Tensor) -> Tensor:
    """The numbers of the runs that begin at starts, one run after another."""
    return torch.arange(int(sizes.sum())) + (starts - sizes.cumsum(0) + sizes).repeat_interleave(sizes)
