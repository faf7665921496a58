"""Configuration against signatures."""

from __future__ import annotations

import copy
import math
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import data.toys
import flows.cli  # registers ${stamp:}
from flows.config import PLACES, build, check, check_all
from flows.core import Flow, Spec
from flows.errors import UserError
from flows.targets import arguments_of, target

CONF = flows.cli.CONF
SPEC = Spec(names=("a", "b"), shape=(2,))
REALNVP = {"_target_": "flows.models.realnvp.realnvp", "layers": 2, "width": 4, "depth": 1}
ADAMW = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-3}
TRAINER = {
    "_target_": "flows.training.trainer.Trainer",
    "objective": {"_target_": "flows.objectives.likelihood.Likelihood"},
    "optimizer": ADAMW,
    "max_steps": 3,
}
EXPERIMENT = {
    "dataset": {"_target_": "data.toys.moons", "n_train": 8, "n_val": 8, "n_test": 8},
    "model": REALNVP,
    "trainer": TRAINER,
    "runtime": {"_target_": "flows.training.runtime.Runtime"},
    "logger": {"_target_": "flows.training.monitor.Logger"},
    "seed": 0,
    "run_dir": "somewhere",
    "init_from": None,
    "trusted_packages": [],
}
MINE = '''
from typing import Annotated, Any, Literal
from collections.abc import Callable, Sequence
from annotated_types import Ge
from torch import nn
from flows.core import Density, Flow, Sampler, Spec, Transform
from flows.transforms import Affine

built = []

class Part:
    def __init__(self, size: int = 1) -> None:
        built.append(self)
        self.size = size

class Noise(Sampler):
    """Can be drawn from and has no density."""
    def __init__(self, spec: Spec, width: int = 3) -> None:
        super().__init__()
    def sample(self, n, context=None, generator=None):
        return None

def parts(
    spec: Spec, one: Part | None = None, many: Sequence[Part] = (), pair: tuple[Part, ...] = (),
    named: dict[str, Part] | None = None, make: Callable[..., Part] | None = None,
    plain: Any = None, unsaid=None, kind: Literal["a", "b"] = "a", size: Annotated[int, Ge(1)] = 1,
    betas: tuple[float, float] = (0.0, 0.0), path: str = "", rate: float = 0.0, flag: bool = False,
) -> Sampler:
    sampler = Noise(spec)
    sampler.given = dict(locals())
    return sampler

def anything(spec: Spec, **rest: int) -> Sampler:
    return Noise(spec)

def other(spec: Spec) -> int:
    return 3

def bare() -> Sampler:
    return Noise(SPEC)

class Own(nn.Module):
    def __init__(self, where: Sequence[int], given: Any, slope: float = 1.0) -> None:
        super().__init__()
        self.where, self.given, self.slope = where, given, slope

class Narrow(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()

class Greedy(nn.Module):
    def __init__(self, shape: tuple[int, ...], context: int | None, more: float) -> None:
        super().__init__()

def unreadable(spec: Spec, part: "Nowhere") -> Sampler:
    return Noise(spec)
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's own package, `mine_house`."""
    (tmp_path / "mine_house").mkdir()
    (tmp_path / "mine_house" / "models.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "mine_house"
    for name in [name for name in sys.modules if name.startswith("mine_house")]:
        del sys.modules[name]


def refusal(config, where="model", trusted=()):
    with pytest.raises(UserError) as caught:
        check(config, where, trusted=trusted)
    message = str(caught.value)
    assert "\n" not in message
    return message


def altered(path, value):
    config = copy.deepcopy(EXPERIMENT)
    *parents, last = path.split(".")
    node = config
    for key in parents:
        node = node[key]
    node[last] = value
    return config


def test_builds_a_model_that_is_given_the_spec():
    model = build(REALNVP, "model", spec=SPEC)
    assert isinstance(model, Flow)
    assert len(list(model.transform)) == 3  # a Standardize, two couplings: layers came through


def test_checking_builds_nothing(mine):
    node = {"_target_": "mine_house.models.parts", "one": {"_target_": "mine_house.models.Part"}}
    check(node, trusted=[mine])
    from mine_house.models import built

    assert built == []
    build(node, trusted=[mine], spec=SPEC)
    assert len(built) == 1


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("width", "wide", "model.width='wide': expected int >= 1"),
        ("width", "3", "model.width='3': expected int >= 1"),
        ("width", True, "model.width=true: expected int >= 1"),
        ("width", 3.0, "model.width=3.0: expected int >= 1"),
        ("width", 0, "model.width=0: expected int >= 1"),
        ("width", None, "model.width=null: expected int >= 1"),
        ("width", [3], "model.width=[3]: expected int >= 1"),
        ("width", "???", "model.width: missing value; give model.width=VALUE (int >= 1)"),
        ("bound", "2", "model.bound='2': expected finite float > 0"),
        ("bound", math.inf, "model.bound=inf: expected finite float > 0"),
        ("activation", "rleu", "model.activation='rleu': expected relu or "),
        ("widht", 3, "model.widht: no such key; did you mean model.width? keys: activation, bound, "),
        ("zzz", 3, "model.zzz: no such key; keys: activation, bound, "),
        ("spec", ["a"], "model.spec: given by the program; leave it out"),
        ("_args_", [1], "model._args_: no such key"),
        ("_recursive_", False, "model._recursive_: no such key"),
        ("_convert_", "all", "model._convert_: no such key"),
        ("_partial_", "yes", "model._partial_='yes': expected bool"),
        ("_partial_", True, "realnvp: gives realnvp itself, for _partial_ is true; expected Sampler"),
    ],
)
def test_a_wrong_key_or_value_is_named(key, value, says):
    assert says in refusal(REALNVP | {key: value})


def test_a_float_may_be_written_as_an_int():
    check(REALNVP | {"bound": 3})


@pytest.mark.parametrize("node", [None, "???", 3, "realnvp", [], {}, {"width": 3}])
def test_a_place_must_be_filled(node):
    assert "give model=NAME" in refusal(node)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("???", "model._target_: missing value"),
        (3, "not allowed"),
        ("realnvp", "not allowed"),
        (
            "flows.models.realnpv.realnvp",
            "no module flows.models.realnpv; did you mean flows.models.realnvp?",
        ),
        ("flows.models.realnvp.realnpv", "no such class or function; did you mean realnvp?"),
        ("flows.models.realnvp.Flow", "comes from flows.core, which is not in flows.models"),
        ("flows.models.realnvp.__doc__", "not allowed"),
        ("data.toys.moons", "not allowed; only things in flows.models are built here"),
    ],
)
def test_a_wrong_target_is_named(name, says):
    assert says in refusal({"_target_": name})


def test_a_target_must_be_of_its_places_kind(mine):
    assert "gives int; expected Sampler" in refusal({"_target_": "mine_house.models.other"}, trusted=[mine])
    assert "gives Part; expected Sampler" in refusal({"_target_": "mine_house.models.Part"}, trusted=[mine])
    assert "gives Mixture; expected Dataset" in refusal({"_target_": "data.mixture.Mixture"}, "dataset")
    assert "only an abstract class" in refusal(
        TRAINER | {"objective": {"_target_": "flows.objectives.objective.Objective"}}, "trainer"
    )


def test_a_module_that_lacks_something_of_its_own_is_not_called_missing(mine, tmp_path):
    (tmp_path / "mine_house" / "torn.py").write_text("import not_there_at_all")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        check({"_target_": "mine_house.torn.x"}, trusted=[mine])


def test_a_key_that_belongs_deeper_is_told_where():
    assert "trainer.lr: no such key; did you mean trainer.optimizer.lr?" in refusal(
        TRAINER | {"optimizer": ADAMW, "lr": 0.1}, "trainer"
    )


def test_an_optimizer_waits_for_its_parameters():
    optimizer = build(TRAINER | {"optimizer": ADAMW | {"betas": [0, 0.9]}}, "trainer").optimizer
    assert isinstance(optimizer, partial)
    assert optimizer.keywords == {"lr": 1e-3, "betas": (0.0, 0.9)}
    assert type(optimizer.keywords["betas"]) is tuple
    assert isinstance(optimizer([torch.nn.Parameter(torch.zeros(2))]), torch.optim.AdamW)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("lr", "abc", "trainer.optimizer.lr='abc': expected float"),
        ("lr", "1e-3", "trainer.optimizer.lr='1e-3': expected float"),
        ("betas", [0.9, "abc"], "trainer.optimizer.betas=[0.9, 'abc']: expected [float, float]"),
        ("betas", [0.9], "trainer.optimizer.betas=[0.9]: expected [float, float]"),
        ("betas", [0.9, 1.0], "trainer.optimizer: Invalid beta parameter at index 1: 1.0"),
        ("lr", -1, "trainer.optimizer: Invalid learning rate: -1"),
        ("differentiable", True, "trainer.optimizer: a leaf Variable that requires grad"),
        ("capturable", True, "trainer.optimizer: If capturable=True, params and state_steps must be on"),
        ("wieght_decay", 0.1, "did you mean trainer.optimizer.weight_decay?"),
        ("params", [1], "trainer.optimizer.params: given by the program"),
        ("_partial_", False, "gives AdamW; expected a _target_ with _partial_: true that makes Optimizer"),
        ("_target_", "torch.optim.AdmW", "did you mean AdamW?"),
        ("_target_", "torch.optim.swa_utils.AveragedModel", "expected a _target_ with _partial_: true"),
        ("_target_", "torch.nn.Linear", "not allowed"),
    ],
)
def test_a_wrong_optimizer_is_named(key, value, says):
    assert says in refusal(TRAINER | {"optimizer": ADAMW | {key: value}}, "trainer")


CRITIC = {"_target_": "flows.objectives.critic.critic", "_partial_": True}


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("width", -1, "critic.width=-1: expected int >= 1"),
        ("width", 0, "critic.width=0: expected int >= 1"),
        ("depth", -3, "critic.depth=-3: expected int >= 0"),
        ("padding", "mirror", "critic.padding='mirror': expected zeros or circular or replicate"),
        ("shape", [2], "critic.shape: given by the program; leave it out"),
        ("context", 3, "critic.context: given by the program; leave it out"),
        ("_partial_", False, "gives Critic; expected a _target_ with _partial_: true that makes Module"),
        ("_target_", "flows.nets.mlp.MLP", "MLP: is given a list of int as inputs, which is to be int"),
        ("_target_", "flows.nets.conv.Reduce", "Reduce: is given a list of int as inputs"),
        (
            "_target_",
            "mine_house.models.Narrow",
            "has to take a list of int and int, which the program gives",
        ),
        ("_target_", "mine_house.models.Greedy", "critic.more: missing value"),
    ],
)
def test_a_wrong_critic_is_named(mine, key, value, says):
    objective = {"_target_": "flows.objectives.wgan_gp.WGANGP", "critic": CRITIC | {key: value}}
    said = refusal(TRAINER | {"objective": objective}, "trainer", trusted=[mine])
    assert f"trainer.objective.{says}" in said or says in said


def test_a_critic_of_ones_own_is_given_its_shape_by_place(mine):
    own = {"_target_": "mine_house.models.Own", "_partial_": True, "slope": 2.0}
    objective = {"_target_": "flows.objectives.wgan_gp.WGANGP", "critic": own}
    made = build(TRAINER | {"objective": objective}, "trainer", trusted=[mine]).objective.critic((2,), 0)
    assert (made.where, made.given, made.slope) == ((2,), 0, 2.0)


def test_a_part_must_be_of_its_parameters_kind():
    assert "gives Flow; expected Objective" in refusal(TRAINER | {"objective": REALNVP}, "trainer")
    assert "trainer.objective='mine': expected Objective" in refusal(
        TRAINER | {"objective": "mine"}, "trainer"
    )
    assert "trainer.max_steps._target_" in refusal(TRAINER | {"max_steps": ADAMW}, "trainer")
    without = {key: value for key, value in TRAINER.items() if key != "objective"}
    assert "trainer.objective: missing value; give trainer.objective=VALUE" in refusal(without, "trainer")


def test_parts_may_stand_in_lists_and_mappings(mine):
    part = {"_target_": "mine_house.models.Part", "size": 2}
    node = {
        "_target_": "mine_house.models.parts",
        "one": part,
        "many": [part, part],
        "pair": [part],
        "named": {"a": part},
        "make": part | {"_partial_": True},
    }
    given = build(node, trusted=[mine], spec=SPEC).given
    assert given["one"].size == 2
    assert [p.size for p in given["many"]] == [2, 2]
    assert type(given["pair"]) is tuple
    assert given["named"]["a"].size == 2
    assert given["make"](size=5).size == 5

    def says(**change):
        return refusal(node | change, trusted=[mine])

    assert "model.many.1.szie: no such key; did you mean model.many.1.size?" in says(
        many=[part, {**part, "szie": 1}]
    )
    assert "model.named.a.size='x': expected int" in says(named={"a": part | {"size": "x"}})
    assert "model.many={a: {" in says(many={"a": part})
    assert "gives Part; expected anything" in says(plain=part)
    assert "gives Part; expected anything" in says(unsaid=part)
    assert "model.size=[{" in says(size=[part])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "c"),
        ("size", 0),
        ("betas", [1, True]),
        ("path", 3),
        ("rate", "1"),
        ("rate", True),
        ("flag", 1),
    ],
)
def test_values_are_strict(mine, key, value):
    assert f"model.{key}=" in refusal({"_target_": "mine_house.models.parts", key: value}, trusted=[mine])


def test_what_takes_any_key_still_takes_no_special_one(mine):
    node = {"_target_": "mine_house.models.anything", "whatever": 3}
    check(node, trusted=[mine])
    assert "model._args_: no such key" in refusal(node | {"_args_": [1]}, trusted=[mine])


def test_a_model_must_take_the_spec(mine):
    assert "has to take spec" in refusal({"_target_": "mine_house.models.bare"}, trusted=[mine])


def test_an_annotation_must_be_readable(mine):
    says = refusal({"_target_": "mine_house.models.unreadable", "part": 3}, trusted=[mine])
    assert "mine_house.models.unreadable: its annotations can't be read: name 'Nowhere'" in says


def test_an_experiment_is_checked_whole():
    check_all(EXPERIMENT)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("modle", "x", "modle: no such key; did you mean model?"),
        ("seed", -1, "seed=-1: expected int >= 0"),
        ("seed", "one", "seed='one': expected int >= 0"),
        ("seed", "???", "seed: missing value; give seed=VALUE (int >= 0 and < 9223372036854775808)"),
        ("run_dir", 3, "run_dir=3: expected str"),
        ("init_from", 3, "init_from=3: expected str or null"),
        ("trusted_packages", "mine", "trusted_packages='mine': expected a list of str"),
        ("dataset", None, "dataset=null: nothing chosen; give dataset=NAME"),
        ("dataset.nosie", 1, "did you mean dataset.noise?"),
        ("trainer.optimizer.lr", "fast", "trainer.optimizer.lr='fast'"),
        ("runtime.device", "tpu", "runtime.device='tpu': expected auto or cpu or cuda"),
        ("logger.figures", -1, "logger.figures=-1"),
    ],
)
def test_an_experiments_faults_are_named(path, value, says):
    with pytest.raises(UserError) as caught:
        check_all(altered(path, value))
    assert says in str(caught.value)


def test_each_place_is_needed():
    for place in PLACES:
        config = {key: value for key, value in EXPERIMENT.items() if key != place}
        with pytest.raises(UserError, match=f"{place}=null: nothing chosen"):
            check_all(config)


def test_an_objective_that_the_model_cannot_serve_says_why(mine):
    config = altered("model", {"_target_": "mine_house.models.Noise"})
    with pytest.raises(UserError, match="Likelihood needs a Density, but model=Noise makes a Noise"):
        check_all(config, trusted=[mine])


def test_a_configuration_cannot_vouch_for_itself(mine):
    config = altered("model", {"_target_": "mine_house.models.Noise"}) | {"trusted_packages": [mine]}
    with pytest.raises(UserError, match="not allowed"):
        check_all(config)
    assert "mine_house" not in sys.modules


# --- what lies in conf/

OPTIONS = [(place, file.stem) for place in PLACES for file in sorted((CONF / place).glob("*.yaml"))]
OPTIONS += [("experiment", file.stem) for file in sorted((CONF / "experiment").glob("*.yaml"))]


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)


NETCDF = ("dataset.path=my.nc", "dataset.target=[t]")
BESIDE = {  # what an option asks for
    "table": ("dataset.path=my.csv",),
    "arrays": ("dataset.path=my.npz",),
    "netcdf": NETCDF,
    "netcdf_downscaling": NETCDF,
    "masked": ("model=masked_transformer",),
}


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_fits_its_signature(group, option):
    check_all(composed(f"{group}={option}", *BESIDE.get(option, ())))


@pytest.mark.parametrize(
    ("choice", "said"), [("dataset=table", "dataset.path"), ("trainer=masked", "AnySubset")]
)
def test_what_an_option_asks_for_is_missed(choice, said):
    with pytest.raises(UserError, match=said):
        check_all(composed(choice))


@pytest.mark.parametrize(("place", "option"), [pair for pair in OPTIONS if pair[0] != "experiment"])
def test_every_option_states_every_argument(place, option):
    """So that --cfg job is the whole truth."""
    node = composed(f"{place}={option}")[place]
    takes, _ = arguments_of(target(node["_target_"], PLACES[place].rooms, place))
    assert set(takes) - set(PLACES[place].given) == set(node) - {"_target_"}


def test_every_option_of_every_group_is_seen():
    assert {"moons", "realnvp", "likelihood", "auto", "tensorboard"} <= {option for _, option in OPTIONS}
    assert {file.parent.name for file in Path(CONF).glob("*/*.yaml")} <= {
        *PLACES,
        "experiment",
        "task",
        "hydra",
    }


ENDS = [
    (file.stem, key, end)
    for file in sorted((CONF / "dataset").glob("*.yaml"))
    if hasattr(data.toys, file.stem)
    for key, argument in arguments_of(target(f"data.toys.{file.stem}", ("data",), "dataset"))[0].items()
    if get_origin(argument.annotation) is Annotated and get_args(argument.annotation)[0] is float
    for bound in get_args(argument.annotation)[1].metadata
    for end in [getattr(bound, "ge", getattr(bound, "le", None))]
    if end is not None
]


@pytest.mark.parametrize(("name", "key", "end"), ENDS)
def test_a_dataset_is_sound_at_its_bounds(name, key, end):
    """Or says that its noise is too small."""
    try:
        truth = build({"_target_": f"data.toys.{name}", key: end}, "dataset").truth
    except UserError as error:
        assert "is too small to integrate" in str(error)
        return
    generator = torch.Generator().manual_seed(0)
    assert truth.log_prob(truth.sample(64, generator=generator)).isfinite().all()


def test_all_bounds_are_seen():
    assert {("rings", "noise", 1e-3), ("funnel", "spread", 10), ("banana", "bend", -100)} <= set(ENDS)
