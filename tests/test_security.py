"""No configuration runs code of its choosing. Every payload here is shown to work where nothing stops it."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import hydra
import pytest
import yaml
from hydra._internal.utils import _locate

from flows.cli import CONF, entry
from flows.config import PLACES, build, check_all
from flows.errors import UserError
from flows.training import facts

EVIL = "from pathlib import Path\nPath({marker!r}).touch()\ndef run(*args, **kwargs): ...\n"
MODULES = ("evil_module", "evil_package", "hydra_plugins.evil")


class Touch:
    """Unpickles to a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that exists once a payload has run; evil modules and a pickle that make it lie about."""
    marker = tmp_path / "marker"
    (tmp_path / "evil_module.py").write_text(EVIL.format(marker=str(marker)))
    (tmp_path / "evil_package").mkdir()
    (tmp_path / "evil_package" / "__init__.py").write_text(EVIL.format(marker=str(marker)))
    (tmp_path / "evil.pickle").write_bytes(pickle.dumps(Touch(str(marker))))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield marker
    forget()


def forget():
    for name in MODULES:
        sys.modules.pop(name, None)


def path(text):
    return {"_target_": "pathlib.Path", "_args_": [text]}


PAYLOADS = {
    "open": {"_target_": "builtins.open", "file": "marker", "mode": "w"},
    "eval": {"_target_": "builtins.eval", "_args_": ["open('marker', 'w')"]},
    "os": {"_target_": "os.system", "command": "touch marker"},
    "posix": {"_target_": "posix.system", "command": "touch marker"},
    "subprocess": {"_target_": "subprocess.run", "args": ["touch", "marker"]},
    "write_text": {"_target_": "pathlib.Path.write_text", "_args_": [path("marker"), "x"]},
    "copyfile": {"_target_": "shutil.copyfile", "src": "evil_module.py", "dst": "marker"},
    "through logging": {"_target_": "logging.os.system", "command": "touch marker"},
    "through us": {"_target_": "flows.targets.importlib.import_module", "name": "evil_module"},
    "through a model": {"_target_": "flows.models.realnvp.Flow.__init__.__globals__", "_args_": []},
    "our own file": {"_target_": "flows.files.write_whole", "_args_": [path("marker"), "x"]},
    "pickle": {"_target_": "torch.load", "f": "evil.pickle", "weights_only": False},
    "local module": {"_target_": "evil_module.run"},
    "local package": {"_target_": "evil_package.run"},
    "torch's import": {"_target_": "torch.optim.optimizer.importlib.import_module", "name": "evil_module"},
}
DEAD = {"through a model", "torch's import"}  # refused for how they look; they lead nowhere today


def unguarded(node):
    """What a loader without an allowlist does: import, look up, call, inner nodes first."""
    if isinstance(node, list):
        return [unguarded(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: unguarded(value) for key, value in node.items()}
    if "_target_" not in node:
        return node
    return _locate(node.pop("_target_"))(*node.pop("_args_", ()), **node)


@pytest.mark.filterwarnings("ignore")  # files left open
@pytest.mark.parametrize("name", [name for name in PAYLOADS if name not in DEAD])
def test_each_payload_works_where_nothing_stops_it(marker, name):
    with suppress(RuntimeError):  # torch.load dislikes what it has unpickled: too late
        unguarded(copy.deepcopy(PAYLOADS[name]))
    assert marker.exists()


EXPERIMENT = {
    "dataset": {"_target_": "data.toys.moons"},
    "model": {"_target_": "flows.models.realnvp.realnvp"},
    "trainer": {
        "_target_": "flows.training.trainer.Trainer",
        "objective": {"_target_": "flows.objectives.likelihood.Likelihood"},
        "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True},
        "max_steps": 3,
    },
    "runtime": {"_target_": "flows.training.runtime.Runtime"},
    "logger": {"_target_": "flows.training.monitor.Logger"},
    "seed": 0,
    "run_dir": "run",
}
SPOTS = [
    *PLACES,
    *("dataset.n_train", "model.width", "trainer.objective", "trainer.optimizer", "trainer.optimizer.lr"),
    *("seed", "run_dir", "trusted_packages"),
]


def planted(spot, payload):
    config = copy.deepcopy(EXPERIMENT)
    *parents, last = spot.split(".")
    node = config
    for key in parents:
        node = node[key]
    node[last] = copy.deepcopy(payload)
    return config


def test_the_experiment_itself_is_fine():
    check_all(EXPERIMENT)


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize("name", PAYLOADS)
def test_no_payload_runs_anywhere(marker, name, spot):
    for extra in ({}, {"_partial_": True}):
        payload = PAYLOADS[name] | extra
        for planting in (payload, [payload], {"inner": payload}):
            with pytest.raises(UserError):
                check_all(planted(spot, planting))
    if spot in PLACES:
        with pytest.raises(UserError):
            build(PAYLOADS[name], spec=None, where=spot)
    assert not marker.exists()
    assert not any(name in sys.modules for name in MODULES)


def test_another_packages_trust_opens_nothing_else(marker):
    for payload in PAYLOADS.values():
        with pytest.raises(UserError):
            check_all(planted("model", payload), trusted=["evil", "evil_", "mine"])
    assert not marker.exists()


def test_a_trusted_package_is_a_whole_name(marker):
    with pytest.raises(UserError):
        check_all(planted("model", PAYLOADS["local module"]), trusted=["evil"])
    with pytest.raises(UserError, match="expected Sampler"):
        check_all(planted("model", PAYLOADS["local module"]), trusted=["evil_module"])
    assert marker.exists()  # so it was the name that kept it out


# --- through the command line, where Hydra too would build what files name


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as leaving:
        entry("config", lambda config: check_all(config, trusted=config["trusted_packages"]))(print)()
    out, err = capsys.readouterr()
    assert leaving.value.code == 2
    assert out == ""
    assert err.startswith("train.py: error: ")
    assert err.count("\n") == 1


def plain_hydra(monkeypatch, *arguments, task=lambda _: None):
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    handlers = logging.root.handlers[:]
    with suppress(Exception):  # what a payload gives is no launcher: too late
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
    logging.root.handlers = handlers


def write(tmp_path, name, content):
    file = tmp_path / "conf" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    header = "# @package _global_\n" if name.startswith("experiment") else ""
    file.write_text(header + yaml.safe_dump(content))


OPEN = PAYLOADS["open"]
LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
HYDRAS = {
    "callbacks": ({"experiment/evil": {"hydra": {"callbacks": {"evil": OPEN}}}}, ["experiment=evil"]),
    "job log": (
        {
            "hydra/job_logging/evil": {
                "version": 1,
                "handlers": {"evil": {"class": "logging.FileHandler", "filename": "marker"}},
                "root": {"handlers": ["evil"]},
            }
        },
        ["hydra/job_logging=evil"],
    ),
    "hydra's log": (
        {
            "hydra/hydra_logging/evil": {
                "version": 1,
                "handlers": {"evil": {"class": "logging.FileHandler", "filename": "marker"}},
                "root": {"handlers": ["evil"]},
            }
        },
        ["hydra/hydra_logging=evil"],
    ),
    "launcher": (
        {"hydra/launcher/evil": {"_target_": LAUNCHER, "evil": OPEN}},
        ["-m", "hydra/launcher=evil", "seed=0,1"],
    ),
    "search path": ({}, ["hydra.searchpath=[pkg://evil_package]"]),
    "sweep's search path": (
        {"experiment/evil": {"hydra": {"sweeper": {"params": {"hydra.searchpath": "[pkg://evil_package]"}}}}},
        ["-m", "experiment=evil"],
    ),
    "rerun": ({}, ["--experimental-rerun=evil.pickle"]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HYDRAS)
def test_hydra_builds_nothing_that_a_file_names(marker, tmp_path, monkeypatch, capsys, name):
    contents, arguments = HYDRAS[name]
    for file, content in contents.items():
        write(tmp_path, file, content)
    arguments = [*(["--config-dir=conf"] if contents else []), *arguments]
    call(monkeypatch, capsys, *arguments)
    assert not marker.exists()
    plain_hydra(monkeypatch, *arguments)
    assert marker.exists()


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_option_of_a_folder_runs_a_payload(marker, tmp_path, monkeypatch, capsys, name):
    write(tmp_path, "model/evil", PAYLOADS[name])
    call(monkeypatch, capsys, "--config-dir=conf", "model=evil")
    assert not marker.exists()
    assert not any(name in sys.modules for name in MODULES)


GIT = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "touch marker; false",
}


@pytest.fixture
def checkout(marker, tmp_path, monkeypatch):
    """A repository where what git heeds would make a marker of its own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    user = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], [*user, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "file").touch()
    subprocess.run(["git", "add", "file"], cwd=folder, check=True)
    monkeypatch.setattr(facts, "_ROOT", folder)
    return folder / "marker"


def status_of(folder):
    subprocess.run(["git", "-C", str(folder), "status"], capture_output=True, check=False)


@pytest.mark.parametrize(
    "hydra_node",
    [
        {"job": {"env_set": GIT}},
        {"job": {"env_set": "${hydra.sweeper.params}"}, "sweeper": {"params": GIT}},
    ],
)
def test_no_file_sets_what_git_heeds(checkout, tmp_path, monkeypatch, capsys, hydra_node):
    write(tmp_path, "experiment/evil", {"hydra": hydra_node})
    arguments = ["--config-dir=conf", "experiment=evil"]
    call(monkeypatch, capsys, *arguments)
    plain_hydra(monkeypatch, *arguments, task=lambda _: status_of(checkout.parent))
    assert checkout.exists()


def test_git_runs_no_command_that_an_environment_names(checkout, monkeypatch):
    for key, value in GIT.items():
        monkeypatch.setenv(key, value)
    assert str(facts.commit()).endswith("+changes")
    assert not checkout.exists()
    status_of(checkout.parent)
    assert checkout.exists()
