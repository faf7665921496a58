"""What is drawn, and from which numbers."""

from __future__ import annotations

from itertools import combinations

import small
import torch

from flows.objectives import WGANGP
from flows.objectives.critic import critic
from flows.training.seeds import seed_of


def draws(seed: int) -> list[torch.Tensor]:
    """The first numbers of each of a run's generators."""
    run, _ = small.start(small.trainer(), seed)
    weights = torch.Generator().manual_seed(seed_of("weights", seed))
    return [torch.rand(4, generator=each) for each in (run.generator, run.stream.generator, weights)]


def test_no_two_streams_of_neighbouring_runs_are_the_same():
    for one, other in combinations([*draws(0), *draws(1), *draws(2)], 2):
        assert not torch.equal(one, other)


def test_seeds_beyond_what_a_generator_heeds_differ():
    """Torch's takes the last 32 bits alone."""
    one, other = (torch.Generator().manual_seed(seed_of("order", seed)) for seed in (1, 1 + 2**32))
    assert not torch.equal(torch.rand(4, generator=one), torch.rand(4, generator=other))


def test_an_adversary_depends_on_the_runs_seed_alone():
    """However much has been drawn since the model was made, as in a batch of runs."""
    weights = []
    for drawn in (0, 5):
        data = small.dataset()
        torch.manual_seed(0)
        model = small.realnvp(data.spec, layers=2, width=8)
        torch.rand(drawn)
        trainer = small.trainer(objective=WGANGP(critic))
        run = trainer.start(model, data, small.RUNTIME, 0)
        weights.append(run.players["critic"].weights)
    assert torch.equal(*weights)
