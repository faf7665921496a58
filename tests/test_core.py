"""What every flow is: shapes that are checked, and transforms in a row."""

from __future__ import annotations

import pytest
import torch
import zoo

from flows.config import build
from flows.core import Batch, Compose, Flow, Inverse, Spec, Transform
from flows.errors import UserError
from flows.transforms import Guided, Level, Mixing, Squeeze, Standardize, haar

ALL = [*zoo.MODELS, *zoo.FIELDS]
FLOWS = [name for name in ALL if isinstance(zoo.built(name, *zoo.example(name)), Flow)]


def small(name, context=3):
    """A model and examples of what it takes; a vector of two features, or a field."""
    shape = zoo.example(name)[0] if name in zoo.FIELDS else 2
    return zoo.model(name, shape, context), *zoo.data(shape, context, n=4)


@pytest.mark.parametrize("name", ALL)
def test_x_and_a_context_of_another_width_are_refused(name):
    density, x, c = small(name)
    with pytest.raises(ValueError, match=r"x has shape \(4, 1.*\); the model takes \(\.\.\., 2"):
        density.log_prob(x[:, :1], c)
    with pytest.raises(ValueError, match=r"context has shape \(4, 1.*\); the model takes \(\.\.\., 3"):
        density.log_prob(x, c[:, :1])
    with pytest.raises(ValueError, match=r"context has shape \(.*1.*\); the model takes \(\.\.\., 3"):
        density.sample(2, c[:, :1])


@pytest.mark.parametrize("name", ALL)
def test_a_context_is_needed_where_there_is_one_and_refused_where_there_is_none(name):
    density, x, c = small(name)
    alone = small(name, 0)[0]
    for call in (lambda d, *given: d.log_prob(x, *given), lambda d, *given: d.sample(5, *given)):
        with pytest.raises(ValueError, match="a context is needed"):
            call(density)
        with pytest.raises(ValueError, match="this model takes no context"):
            call(alone, c)


@pytest.mark.parametrize("name", FLOWS)
def test_noise_of_another_width_is_refused(name):
    flow, x, c = small(name)
    flow = zoo.as_flow(flow)
    with pytest.raises(ValueError, match=r"noise has shape \(4, 1.*\); the model takes \(\.\.\., 2"):
        flow.rsample(x[:, :1], c)
    with pytest.raises(ValueError, match="a context is needed"):
        flow.rsample(x)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_a_field_as_context_of_a_vector_is_refused(name):
    spec = Spec(("a", "b"), (2,), context_names=("c",), context_shape=(1, 4, 4))
    with pytest.raises(UserError, match=rf"model={name} needs a vector as context; .*\(1, 4, 4\)"):
        build(zoo.node("model", name), "model", spec=spec)


class Shift(Transform):
    """Adds a number, and counts how often."""

    def __init__(self, by: float = 1.0) -> None:
        super().__init__()
        self.by, self.calls = by, 0

    def forward(self, x, context=None):
        self.calls += 1
        return x + self.by, torch.zeros(x.shape[:-1])

    def inverse(self, z, context=None):
        return z - self.by, torch.zeros(z.shape[:-1])


def test_data_goes_no_further_than_what_is_fitted_to_it():
    before, within, after = Shift(), Shift(), Shift()
    fitted, deeper = Standardize((2,)), Standardize((2,))
    inner = Compose([within, deeper, after])
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    last = Shift()
    Compose([before, fitted, inner, last]).initialise(Batch(x))
    assert [each.calls for each in (before, within, after, last)] == [1, 1, 0, 0]
    torch.testing.assert_close(fitted.mean, (x + 1).mean(0))
    torch.testing.assert_close(deeper.mean, torch.ones(2))


def test_without_anything_to_fit_no_data_is_moved():
    shifts = [Shift(), Shift()]
    Compose([Compose(shifts), Shift()]).initialise(Batch(torch.zeros(3, 2)))
    assert [shift.calls for shift in shifts] == [0, 0]


def test_transforms_in_a_row_are_counted_and_had_by_place():
    shifts = [Shift(), Shift(2.0), Shift(3.0)]
    transform = Compose(shifts)
    assert len(transform) == 3
    assert [transform[0], transform[1], transform[-1]] == [*transform] == shifts
    with pytest.raises(IndexError):
        transform[3]


@pytest.mark.parametrize("name", FLOWS)
def test_draws_come_with_their_density_and_a_gradient(name):
    flow, x, c = small(name)
    flow = zoo.as_flow(flow)
    drawn, log_q = flow.sample_and_log_prob(5, c, torch.Generator().manual_seed(0))
    again = flow.sample(5, c, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, *x.shape)
    torch.testing.assert_close(drawn, again)
    torch.testing.assert_close(log_q, flow.log_prob(drawn, c.expand(5, *c.shape)), atol=1e-8, rtol=1e-8)
    assert drawn.requires_grad
    assert log_q.requires_grad
    with pytest.raises(ValueError, match="a context is needed"):
        flow.sample_and_log_prob(5)


@pytest.mark.parametrize(
    "around",
    [
        Inverse,
        lambda transform: Guided(torch.nn.Identity(), transform),
        lambda transform: Level(Squeeze(1, (2, 2)), transform),
        lambda transform: Level(Squeeze(1, (2, 2)), Mixing(haar(1), torch.ones(1, 1).bool()), transform),
    ],
)
def test_what_is_fitted_to_data_goes_into_nothing_that_does_not_fit_it(around):
    with pytest.raises(ValueError, match="Standardize is fitted to data; put it beside"):
        around(Standardize((2,)))
