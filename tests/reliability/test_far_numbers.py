"""Points far from the data, and numbers of other precisions: right, within what is stated, or refused."""

from __future__ import annotations

import pytest
import torch
import zoo

ALL = [*zoo.MODELS, *zoo.FIELDS]
FLOWS = [name for name in ALL if hasattr(zoo.model(name, *zoo.example(name)), "transform")]
FAR = (1e3, 1e6)
# there and back, relative to the point; None where SECURITY.md says that it isn't promised, and why
BACK = dict.fromkeys(FLOWS, 1e-4) | {"conditional_flow": None, "mixture_autoregressive": None}
BACK_DOUBLE = dict.fromkeys(FLOWS, 1e-8) | {"mixture_autoregressive": None}
LADJ = 1e-4  # float32 against autodiff in float64, relative where it is above 1
GAP = {torch.bfloat16: 0.03, torch.float16: 0.005}  # nats a number, in the mean, of nets under autocast


def far(name, scale):
    """Points whose largest number is of this size, their contexts usual."""
    x, context = zoo.data(*zoo.example(name), n=16, seed=1)
    return x / x.flatten(1).abs().amax(1).view(-1, *[1] * (x.dim() - 1)) * scale, context


def missed(there, x):
    """The greatest miss, relative to each point's largest number."""
    return float(((there.double() - x).abs().flatten(1).amax(1) / x.abs().flatten(1).amax(1)).max())


def there_and_back(flow, x, context):
    z, _ = flow.latent(x, context)
    return flow.transform.inverse(z, flow.normalise(context))[0]


@pytest.mark.parametrize("scale", FAR)
@pytest.mark.parametrize("name", FLOWS)
def test_row_29_round_trip_far_from_the_data(name, scale):
    x, context = far(name, scale)
    flow = zoo.as_flow(zoo.model(name, *zoo.example(name)))
    with torch.no_grad():
        if BACK_DOUBLE[name] is not None:
            assert missed(there_and_back(flow, x, context), x) < BACK_DOUBLE[name]
        if BACK[name] is not None:
            assert missed(there_and_back(flow.float(), x.float(), context.float()), x) < BACK[name]


@pytest.mark.parametrize("scale", FAR)
@pytest.mark.parametrize("name", [name for name in FLOWS if name != "mixture_autoregressive"])
def test_row_29_log_det_far_from_the_data_is_autodiffs_in_double_precision(name, scale):
    x, context = far(name, scale)
    x, context = x[:4], context[:4]
    flow = zoo.as_flow(zoo.model(name, *zoo.example(name)))
    expected = zoo.jacobian_ladj(lambda p, c: flow.latent(p, c), x, context)
    torch.testing.assert_close(flow.latent(x, context)[1], expected, atol=1e-8, rtol=1e-8)
    _, ladj = flow.float().latent(x.float(), context.float())
    torch.testing.assert_close(ladj.double(), expected, atol=LADJ * 10, rtol=LADJ)


@pytest.mark.parametrize("scale", FAR)
@pytest.mark.parametrize("name", ALL)
def test_row_29_scores_far_from_the_data_are_finite_and_those_of_double_precision(name, scale):
    x, context = far(name, scale)
    density = zoo.model(name, *zoo.example(name))
    with torch.no_grad():
        exact = density.log_prob(x, context)
        single = density.float().log_prob(x.float(), context.float()).double()
    assert single.isfinite().all()
    torch.testing.assert_close(single, exact, atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("dtype", GAP)
@pytest.mark.parametrize("name", ALL)
def test_row_30_nets_of_half_precision_leave_log_det_and_base_in_single(name, dtype):
    density = zoo.model(name, *zoo.example(name)).float()
    x, context = zoo.data(*zoo.example(name), n=64, seed=1)
    x, context = x.float(), context.float()
    with torch.no_grad():
        exact = density.log_prob(x, context)
        with torch.autocast("cpu", dtype):
            found = density.log_prob(x, context)
            if name in FLOWS:
                z, ladj = zoo.as_flow(density).latent(x, context)
                assert z.dtype == ladj.dtype == torch.float32
    assert found.dtype == torch.float32
    gap = (found - exact).mean().abs() / x[0].numel()
    assert 0 < float(gap) < GAP[dtype]


def test_row_30_mixing_of_whole_cells_is_in_single_precision_too():
    density = zoo.as_flow(zoo.model("conditional_flow", (2, 4, 6), 2).float())
    x, context = zoo.data((2, 4, 6), 2, n=8, seed=1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, ladj = density.latent(x.float(), context.float())
        back, _ = density.rsample(z, context.float())
    assert z.dtype == ladj.dtype == back.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ALL)
def test_row_25_a_batch_of_another_precision_is_cast_or_an_error(name, dtype):
    density = zoo.model(name, *zoo.example(name)).float()
    x, context = zoo.data(*zoo.example(name), n=8, seed=1)
    given, about = x.to(dtype), context.to(dtype)
    with torch.no_grad():
        expected = density.log_prob(given.float(), about.float())
        try:
            found = density.log_prob(given, about)
        except RuntimeError as error:  # torch's, of dtypes that don't go together
            assert "dtype" in str(error) or "type" in str(error)
            return
    torch.testing.assert_close(found.float(), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_row_25_a_batch_on_another_device_is_an_error(name):
    density = zoo.model(name, *zoo.example(name)).float()
    x, context = zoo.data(*zoo.example(name), n=8, seed=1)
    with torch.no_grad(), pytest.raises(RuntimeError, match="device"):
        density.log_prob(x.float().to("meta"), context.float().to("meta")).sum().item()
