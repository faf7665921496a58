"""The flow for fields, given fields."""

from __future__ import annotations

import math

import pytest
import torch
import zoo

from flows.core import Batch, Spec
from flows.errors import UserError
from flows.evaluation.metrics import truth_ratio
from flows.masks import encode
from flows.models.conditional_flow import conditional_flow
from flows.transforms import Coupling, Given, Guided, Level

CONTEXTS = {(1, 8, 8): (0, 2), (3, 8, 8): (2,), (1, 7, 9): (0, 2), (3, 7, 9): (1,)}  # channels tried
CASES = [
    pytest.param(shape, channels, id=f"{shape}-{channels}")
    for shape, contexts in CONTEXTS.items()
    for channels in contexts
]


def flow(shape, context=0, **settings):
    torch.manual_seed(0)
    found = conditional_flow(zoo.spec(shape, context), width=8, **settings).double()
    found.initialise(zoo.data(shape, context))
    zoo.perturb(found, 0.1, 0)
    return found.eval()


@pytest.mark.parametrize(("shape", "context"), CASES)
@pytest.mark.parametrize("mixing", ["learned", "none"])
def test_inverse_both_ways(shape, context, mixing):
    found = flow(shape, context, mixing=mixing)
    x, c = zoo.data(shape, context, 8, seed=1)
    z, ladj = found.latent(x, c)
    back, log_q = found.rsample(z, c)
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(log_q, found.base.log_prob(z) + ladj, atol=1e-8, rtol=1e-8)


def test_inverse_both_ways_on_a_grid_as_real_ones_are():
    test_inverse_both_ways((1, 33, 49), 2, "learned")


@pytest.mark.parametrize(("shape", "context"), CASES)
def test_log_q_of_samples_is_autodiffs(shape, context):
    found = flow(shape, context)
    _, c = zoo.data(shape, context, 2, seed=1)
    noise = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, log_q = found.rsample(noise, c)
    torch.testing.assert_close(log_q, found.log_prob(x, c), atol=1e-8, rtol=1e-8)
    ladj = zoo.jacobian_ladj(found.transform.inverse, noise, found.normalise(c))
    torch.testing.assert_close(log_q, found.base.log_prob(noise) - ladj, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("context", [0, 2])
def test_draws_follow_the_density(context):
    """The ratio of another density to its own is 1 on average over its draws, as both integrate to one."""
    found, other = flow((1, 8, 8), context), flow((1, 8, 8), context)
    zoo.perturb(other, 0.004, 1)
    contexts = None if context == 0 else zoo.data((1, 8, 8), context, 4000, seed=1).context
    ratio = truth_ratio(found, other, contexts, torch.Generator().manual_seed(0), 4000)
    assert ratio.low < 1 < ratio.high
    assert 0.01 < ratio.high - ratio.low < 0.2  # they differ, and the mean is known well


@pytest.mark.parametrize(("shape", "context"), CASES)
def test_an_example_does_not_move_with_the_rest(shape, context):
    found = flow(shape, context)
    x, c = zoo.data(shape, context, 8, seed=1)
    others = torch.arange(8).view(-1, 1, 1, 1) > 0
    changed = (x + 100 * others, None if c is None else c - 100 * others)
    alone = (x[0], None if c is None else c[0])
    for way in (found.latent, found.rsample):
        for one, together in zip(way(*alone), way(*changed), strict=True):
            torch.testing.assert_close(together[0], one, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("context", [0, 2])
def test_draws_are_those_of_their_context(context):
    found = flow((2, 5, 6), context)
    _, c = zoo.data((2, 5, 6), context, 4, seed=1)
    draws = found.sample(3, c, torch.Generator().manual_seed(0))
    assert draws.shape == ((3, 4, 2, 5, 6) if context else (3, 2, 5, 6))
    noise = found.base.sample(3, c, torch.Generator().manual_seed(0))
    one = found.rsample(noise[0], c)[0]
    torch.testing.assert_close(draws[0], one, atol=1e-10, rtol=1e-10)


def jacobian(found, shape, context):
    x, c = zoo.data(shape, context, 1, seed=1)
    given = None if c is None else found.normalise(c)[0]
    full = torch.func.jacrev(lambda p: found.transform(p, given)[0])(x[0])
    return full.reshape(x[0].numel(), -1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 4)], ids=str)
@pytest.mark.parametrize("context", [0, 2])
def test_without_mixing_cells_are_independent_and_gaussian(shape, context):
    found = flow(shape, context, mixing="none")
    each = jacobian(found, shape, context)
    assert torch.equal(each, each.diag().diag())
    assert bool((each.diag() != 0).all())
    x, c = zoo.data(shape, context, 3, seed=1)
    x = torch.stack((x - 1, x, x + 1))
    c = None if c is None else c.expand(3, *c.shape)
    below, middle, above = found.latent(x, c)[0]
    torch.testing.assert_close(above - middle, middle - below, atol=1e-10, rtol=1e-10)  # affine


def test_with_mixing_cells_depend_on_others():
    each = jacobian(flow((1, 8, 8), 2), (1, 8, 8), 2)
    assert float((each != 0).double().mean()) > 0.9


def test_both_halves_are_moved_by_turns():
    found = conditional_flow(zoo.spec((1, 4, 4)), levels=1, layers=6, width=4)
    corners = torch.arange(4).view(4, 1, 1)
    couplings = [step for step in found.modules() if isinstance(step, Coupling)]
    kept = [step.partition.split(corners)[0].flatten().tolist() for step in couplings]
    assert kept == [[0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2]]


def test_every_cell_depends_on_the_context():
    found = flow((1, 6, 6), 2)
    x, c = zoo.data((1, 6, 6), 2, 1, seed=1)
    by = torch.func.jacrev(lambda given: found.latent(x[0], given)[0])(c[0])
    assert bool((by.abs().sum((0, 3, 4, 5)) > 0).all())


@pytest.mark.parametrize(("context", "images"), [(2, 7), (0, 1)])
def test_what_sees_the_context_alone_sees_it_once(context, images):
    found, seen = flow((1, 8, 8), context), []
    for module in found.modules():
        if isinstance(module, Guided):
            module.encode.register_forward_hook(lambda _, __, features: seen.append(features))
        if isinstance(module, Given):
            module.net.register_forward_hook(lambda _, __, moments: seen.append(moments))
    drawn = found.sample(5, zoo.data((1, 8, 8), context, 7).context)
    assert drawn.shape == ((5, 7, 1, 8, 8) if context else (5, 1, 8, 8))
    assert [math.prod(each.shape[:-3]) for each in seen] == [images] * 4  # two levels


HALVED = {(2, 2): 1, (2, 9): 1, (3, 3): 2, (9, 7): 3, (32, 32): 5}


@pytest.mark.parametrize(("size", "levels"), HALVED.items(), ids=str)
def test_levels_end_where_nothing_is_left_to_halve(size, levels):
    found = conditional_flow(zoo.spec((1, *size)), levels=9, layers=1, width=4)
    assert sum(isinstance(module, Level) for module in found.modules()) == levels


def test_at_the_start_it_keeps_volume():
    found = conditional_flow(zoo.spec((2, 6, 8), 1), width=8)
    x, c = zoo.data((2, 6, 8), 1, 4)
    z, ladj = found.latent(x.float(), c.float())
    torch.testing.assert_close(z.square().sum((1, 2, 3)), x.float().square().sum((1, 2, 3)))
    assert torch.equal(ladj, torch.zeros(4))


@pytest.mark.parametrize("shape", [(3,), (1, 8), (1, 1, 8), (2, 1, 4, 4)], ids=str)
def test_what_is_no_field_is_refused(shape):
    with pytest.raises(UserError, match="needs fields") as refusal:
        conditional_flow(Spec(names=("a",), shape=shape))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("context", [(3,), (2, 8, 9), (8, 8), (1, 2, 8, 8)], ids=str)
def test_a_context_on_another_grid_is_refused(context):
    with pytest.raises(UserError, match="on the grid of x") as refusal:
        conditional_flow(Spec(("a",), (1, 8, 8), ("b",), context))
    assert "\n" not in str(refusal.value)


# Cells that the data never has


def holed(shape, context, seed=0):
    """A flow for data without some cells, such data, and which cells of x and context are there."""
    generator = torch.Generator().manual_seed(seed)
    there, seen = (
        torch.rand(channels, *shape[1:], generator=generator) > 0.3 for channels in (shape[0], context)
    )
    spec = zoo.spec(shape, context)._replace(absent=encode(~there), context_absent=encode(~seen))
    x, c = zoo.data(shape, context)
    x, c = torch.where(there, x, torch.nan), torch.where(seen, c, torch.nan)
    torch.manual_seed(0)
    found = conditional_flow(spec, width=8).double()
    found.initialise(Batch(x, c))
    zoo.perturb(found, 0.1, 0)
    return found.eval(), x, c, there, seen


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 7, 5)])
def test_the_density_is_of_the_cells_that_are_there(shape):
    found, x, c, there, seen = holed(shape, 2)
    x, c = x[:4], c[:4]
    log_p = found.log_prob(x, c)
    assert log_p.isfinite().all()
    for junk in (0.0, 1e9, torch.inf):
        filled = torch.where(there, x, junk), torch.where(seen, c, junk)
        assert torch.equal(found.log_prob(*filled), log_p)
    z, ladj = found.latent(x, c)
    assert (z[:, ~there] == 0).all()
    back, log_q = found.rsample(z, c)
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-8, equal_nan=True)
    torch.testing.assert_close(log_q, log_p, atol=1e-8, rtol=1e-8)
    where = there.flatten().nonzero()[:, 0]

    def of_those(values, context):
        field = torch.zeros(shape, dtype=values.dtype).flatten().index_copy(0, where, values).reshape(shape)
        return found.transform(field, context)[0].flatten()[where], None

    expected = zoo.jacobian_ladj(of_those, x.flatten(1)[:, where], found.normalise(c))
    torch.testing.assert_close(ladj, expected, atol=1e-9, rtol=1e-9)
    gaussian = torch.distributions.Normal(0.0, 1.0).log_prob(z.flatten(1)[:, where]).sum(1)
    torch.testing.assert_close(log_p, gaussian + expected, atol=1e-9, rtol=1e-9)


def test_draws_have_no_numbers_where_the_data_has_none():
    found, x, c, there, _ = holed((2, 7, 5), 1)
    drawn = found.sample(50, c[:3], torch.Generator().manual_seed(0))
    assert drawn[..., ~there].isnan().all()
    assert drawn[..., there].isfinite().all()
    assert (found.transform.transforms[0].mean[:, 0, 0] - x.nanmean((0, 2, 3))).abs().max() < 1e-4


def test_the_density_of_two_cells_integrates_to_one():
    there = torch.zeros(1, 2, 3).bool()
    there[0, 0, 0] = there[0, 1, 2] = True
    spec = zoo.spec((1, 2, 3))._replace(absent=encode(~there))
    torch.manual_seed(0)
    found = conditional_flow(spec, width=8, levels=1).double()
    zoo.perturb(found, 0.3, 0)
    line = torch.linspace(-12, 12, 400, dtype=torch.float64)
    x = torch.full((400, 400, 1, 2, 3), torch.nan, dtype=torch.float64)
    x[..., 0, 0, 0], x[..., 0, 1, 2] = line.unsqueeze(1), line
    with torch.no_grad():
        total = found.log_prob(x.flatten(0, 1)).exp().sum() * (line[1] - line[0]) ** 2
    assert abs(total - 1) < 1e-3


def test_a_cell_missing_now_and_then_is_not_filled():
    found, x, c, there, seen = holed((1, 8, 8), 1)
    x[(0, *there.nonzero()[0])] = c[(1, *seen.nonzero()[0])] = torch.nan
    assert found.log_prob(x[:3], c[:3]).isnan().tolist() == [True, True, False]
    with pytest.raises(UserError, match="non-finite"):
        found.initialise(Batch(x, c))


def test_a_mask_of_another_shape_is_refused():
    for text in (encode(torch.ones(1, 3, 3).bool()), "no mask", encode(torch.ones(1, 9, 9).bool())):
        with pytest.raises(UserError, match=r"no mask of shape \(1, 8, 8\)"):
            conditional_flow(zoo.spec((1, 8, 8))._replace(absent=text))
