"""Every toy that conf/dataset names: a new YAML file is tested by being there."""

import inspect
from pathlib import Path

import pytest
import yaml

from data import toys

CONF = Path(__file__).parents[2] / "conf" / "dataset"
FILES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
NAMES = [name for name, config in FILES.items() if config["_target_"].startswith("data.toys.")]
LABELLED = [name for name in NAMES if "labels" in FILES[name]]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def builder(name):
    return getattr(toys, name)


@pytest.fixture(params=LABELLED)
def labelled(request):
    return getattr(toys, request.param)(labels=True)


@pytest.fixture
def names():
    return NAMES


@pytest.fixture
def path(name):
    return CONF / f"{name}.yaml"


@pytest.fixture
def config(name):
    return FILES[name]


def pytest_generate_tests(metafunc):
    if "numeric" in metafunc.fixturenames:
        pairs = [
            (name, key)
            for name in NAMES
            for key, parameter in inspect.signature(getattr(toys, name)).parameters.items()
            if parameter.annotation != "bool"
        ]
        metafunc.parametrize("numeric", pairs, ids=["-".join(pair) for pair in pairs])
