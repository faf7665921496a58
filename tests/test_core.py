"""What every flow is: shapes that are checked, and transforms in a row."""

from __future__ import annotations

import pytest
import zoo

from flows.config import build
from flows.core import Flow, Spec
from flows.errors import UserError

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
