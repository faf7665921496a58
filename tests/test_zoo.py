"""What every model must be, whatever it is: found in conf/model, so a new YAML is tested by being there."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import zoo
from scipy.stats import chi2
from torch.func import functional_call, stack_module_state

from flows.config import build
from flows.core import Flow

ALL = [*zoo.MODELS, *zoo.FIELDS]
LONG = [
    "affine_autoregressive",
    "masked_transformer",
    "mixture_autoregressive",
    "spline_autoregressive",
    "conditional_flow",
]  # to compile
FLOWS = [name for name in ALL if isinstance(zoo.model(name, *zoo.example(name)), Flow)]
VECTORS = [(2, 0), (2, 3), (3, 0), (5, 2), (8, 0)]
GRIDS = [((1, 2, 2), 0), ((1, 8, 8), 2), ((1, 7, 9), 1), ((3, 5, 4), 0), ((2, 2, 5), 3)]
CASES = [
    pytest.param(name, shape, context, id=f"{name}-{shape}-{context}")
    for name in FLOWS
    for shape, context in (GRIDS if name in zoo.FIELDS else VECTORS)
]


def points(shape: zoo.Shape, context: int, n: int = 64) -> tuple[torch.Tensor, torch.Tensor | None]:
    return zoo.data(shape, context, n, seed=1)


@pytest.mark.parametrize("name", ALL)
def test_yaml_lists_every_argument_and_its_default(name):
    config = zoo.node("model", name)
    module, _, attribute = config.pop("_target_").rpartition(".")
    signature = inspect.signature(getattr(__import__(module, fromlist=[attribute]), attribute))
    defaults = {k: p.default for k, p in signature.parameters.items() if k != "spec"}
    assert config == defaults


@pytest.mark.parametrize(("name", "shape", "context"), CASES)
def test_inverse_both_ways(name, shape, context):
    flow = zoo.as_flow(zoo.model(name, shape, context))
    x, c = points(shape, context)
    z, ladj = flow.transform(x, c)
    back, ladj_back = flow.transform.inverse(z, c)
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(ladj_back, -ladj, atol=1e-8, rtol=1e-8)
    z = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    there, _ = flow.transform.inverse(z, c)
    torch.testing.assert_close(flow.transform(there, c)[0], z, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize(("name", "shape", "context"), CASES)
def test_ladj_is_autodiffs_both_ways(name, shape, context):
    transform = zoo.as_flow(zoo.model(name, shape, context)).transform
    x, c = points(shape, context, 8)
    z, ladj = transform(x, c)
    torch.testing.assert_close(ladj, zoo.jacobian_ladj(transform, x, c), atol=1e-9, rtol=1e-9)
    _, ladj = transform.inverse(z, c)
    torch.testing.assert_close(ladj, zoo.jacobian_ladj(transform.inverse, z, c), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("name", zoo.MODELS)
def test_density_integrates_to_one(name, context):
    density = zoo.model(name, 2, context)
    c = None if not context else torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    draws = density.sample(20_000, c, torch.Generator().manual_seed(0)).reshape(-1, 2)
    low, high = draws.min(0).values, draws.max(0).values
    low, high = low - 0.3 * (high - low), high + 0.3 * (high - low)
    axes = [
        torch.linspace(float(a), float(b), 301, dtype=torch.float64) for a, b in zip(low, high, strict=True)
    ]
    grid = torch.cartesian_prod(*axes)
    given = None if c is None else c.expand(len(grid), -1)
    with torch.no_grad():
        p = density.log_prob(grid, given).exp().reshape(301, 301)
    total = torch.trapezoid(torch.trapezoid(p, axes[1]), axes[0])
    assert abs(float(total) - 1) < 2e-3


@pytest.mark.parametrize("name", zoo.MODELS)
def test_samples_follow_the_density(name):
    density = zoo.model(name, 2)
    n, cells = 40_000, 12
    with torch.no_grad():
        draws = density.sample(n, generator=torch.Generator().manual_seed(3))
        lows, highs = draws.quantile(0.02, 0), draws.quantile(0.98, 0)
        fine = 16
        axes = [
            torch.linspace(float(a), float(b), cells * fine + 1, dtype=torch.float64)
            for a, b in zip(lows, highs, strict=True)
        ]
        centres = [(axis[1:] + axis[:-1]) / 2 for axis in axes]
        area = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
        p = density.log_prob(torch.cartesian_prod(*centres)).exp() * area
    mass = p.reshape(cells, fine, cells, fine).sum((1, 3)).flatten()
    place = [torch.bucketize(draws[:, k].contiguous(), axes[k][::fine].contiguous()) - 1 for k in range(2)]
    inside = (place[0] >= 0) & (place[0] < cells) & (place[1] >= 0) & (place[1] < cells)
    counts = torch.bincount((place[0] * cells + place[1])[inside], minlength=cells**2).double()
    expected = torch.cat([mass, 1 - mass.sum()[None]]) * n
    counts = torch.cat([counts, (n - counts.sum())[None]])
    busy = expected > 5
    statistic = ((counts - expected)[busy].square() / expected[busy]).sum()
    assert chi2.sf(float(statistic), int(busy.sum()) - 1) > 1e-4


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_gets_a_gradient(name):
    density = zoo.model(name, *zoo.example(name))
    x, c = points(*zoo.example(name))
    (-density.log_prob(x, c).mean()).backward()
    for key, p in density.named_parameters():
        assert p.grad is not None, key
        assert p.grad.isfinite().all(), key
        assert p.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", ALL)
def test_reloaded_weights_give_the_same_density(name):
    density, other = (zoo.model(name, *zoo.example(name), seed=seed) for seed in (0, 5))
    x, c = points(*zoo.example(name))
    assert not torch.equal(density.log_prob(x, c), other.log_prob(x, c))
    other.load_state_dict(density.state_dict())
    assert torch.equal(density.log_prob(x, c), other.log_prob(x, c))
    draws = [m.sample(5, c, torch.Generator().manual_seed(0)) for m in (density, other)]
    assert draws[0].shape == (5, *x.shape)
    assert torch.equal(*draws)


@pytest.mark.parametrize("name", ALL)
def test_context_matters_and_neighbours_do_not(name):
    density = zoo.model(name, *zoo.example(name))
    x, c = points(*zoo.example(name))
    assert c is not None
    together = density.log_prob(x, c)
    assert not torch.allclose(together, density.log_prob(x, c + 1))
    torch.testing.assert_close(density.log_prob(x[:1], c[:1]), together[:1], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([name for name in ALL if name not in LONG], id="short"),
        pytest.param([*LONG, "WGANGP"], id="long", marks=pytest.mark.slow),
    ],
)
def test_compiled_equals_eager(names):
    """In a process of its own: the type checks of the other tests can't be compiled."""
    script = Path(__file__).with_name("compiled.py")
    done = subprocess.run([sys.executable, script, *names], capture_output=True, text=True, cwd=zoo.ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == names


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # attention has no batching rule yet
@pytest.mark.parametrize("name", ALL)
def test_vmapped_over_members_equals_each_alone(name):
    members = [zoo.model(name, *zoo.example(name), seed=seed) for seed in range(3)]
    x, c = points(*zoo.example(name))
    parameters, buffers = stack_module_state(list(members))

    class Score(torch.nn.Module):
        def __init__(self, density):
            super().__init__()
            self.density = density

        def forward(self, x, c):
            return self.density.log_prob(x, c)

    def score(parameters, buffers):
        state = {f"density.{k}": v for k, v in {**parameters, **buffers}.items()}
        return functional_call(Score(members[0]), state, (x, c))

    batched = torch.func.vmap(score)(parameters, buffers)
    alone = torch.stack([member.log_prob(x, c) for member in members])
    torch.testing.assert_close(batched, alone, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_float32_and_meta(name):
    density = zoo.model(name, *zoo.example(name))
    x, c = points(*zoo.example(name))
    assert c is not None
    exact = density.log_prob(x, c)
    single = density.float()
    torch.testing.assert_close(single.log_prob(x.float(), c.float()).double(), exact, atol=1e-3, rtol=1e-4)
    assert single.sample(2, c.float()).dtype == torch.float32
    meta = single.to("meta")
    assert meta.log_prob(x.to("meta", torch.float32), c.to("meta", torch.float32)).shape == (64,)


@pytest.mark.parametrize("name", FLOWS)
def test_rsample_is_the_inverse_with_its_density(name):
    flow = zoo.as_flow(zoo.model(name, *zoo.example(name)))
    like, c = points(*zoo.example(name))
    noise = torch.randn(like.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, log_q = flow.rsample(noise, c)
    torch.testing.assert_close(log_q, flow.log_prob(x, c), atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(flow.latent(x, c)[0], noise, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", FLOWS)
def test_a_context_serves_all_its_draws(name):
    flow = zoo.as_flow(zoo.model(name, *zoo.example(name)))
    like, c = points(*zoo.example(name))
    assert c is not None
    x, c = like[:15].unflatten(0, (5, 3)), flow.normalise(c[:3])
    assert c is not None
    for way in (flow.transform, flow.transform.inverse):
        for once, each in zip(way(x, c), way(x, c.expand(5, *c.shape)), strict=True):
            torch.testing.assert_close(once, each, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_likelihood_is_in_the_units_of_the_data(name):
    """A model of data in other units must lose log |scale| a feature, and nothing else."""
    shape, _ = zoo.example(name)
    batch = zoo.data(shape)
    config = zoo.node("model", name)
    values = []
    for scale in (1.0, 1000.0):
        torch.manual_seed(0)
        density = build(config, "model", spec=zoo.spec(shape)).double()
        with torch.no_grad():
            density.initialise(batch._replace(x=batch.x * scale))
            values.append(density.log_prob(batch.x * scale).mean())
    features = batch.x[0].numel()
    torch.testing.assert_close(values[0] - values[1], features * torch.tensor(1000.0).log().double())
