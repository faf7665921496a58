"""Run directories that were made to run code, read secrets or spoil files: none succeeds.

Every attempt is live: what it plants leaves a marker where nothing stops it.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import logging.config
import os
import pickle
import resource
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import hydra.utils
import left
import pytest
import torch
import yaml
from lives import live
from omegaconf import OmegaConf
from test_security import DEAD, EVIL, PAYLOADS, forget, unguarded

import flows
from flows.errors import UserError
from flows.evaluation.runs import open_run
from flows.training import checkpoint

MARKER, SECRET = Path("marker"), "xyzzy"


class Attempt(NamedTuple):
    """What is planted in a run's directory, and how it would work if somebody let it."""

    name: str
    plant: Callable[[Path], object]
    live: Callable[[Path], object]


# --- row 13: pickles where a checkpoint is expected


class Calls:
    """Unpickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


PICKLED = {
    "os.system": lambda: Calls(os.system, "touch marker"),
    "eval": lambda: Calls(eval, "open('marker', 'w').close()"),
    "exec": lambda: Calls(exec, "open('marker', 'w').close()"),
    "touch": lambda: Calls(Path.touch, MARKER),
    "import": lambda: Calls(__import__, "evil_module"),
}


def zipped(payload: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    return buffer.getvalue()


def behind_weights(payload: Any) -> bytes:
    """A zip that begins as safetensors do: the one reads from the end, the other from the start."""
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    buffer = io.BytesIO(len(header).to_bytes(8, "little") + header + bytes(4))
    with zipfile.ZipFile(io.BytesIO(zipped(payload))) as inner, zipfile.ZipFile(buffer, "a") as outer:
        for name in inner.namelist():
            outer.writestr(name, inner.read(name))
    return buffer.getvalue()


def legacy(payload: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(payload, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


FORMS = {
    "pickle": legacy,
    "zip": zipped,
    "among tensors": lambda payload: zipped({"w": torch.zeros(2), "more": [payload]}),
    "behind weights": behind_weights,
}
PLACES = ("model.safetensors", "run.safetensors", "state.json", "manifest.json")


def plant_bytes(data: bytes, place: str, run: Path) -> None:
    """In a checkpoint, whose manifest vouches for it."""
    for kind in ("best", "last"):
        path = left.newest(run, kind)
        (path / place).write_bytes(data)
        if place != "manifest.json":
            manifest = json.loads((path / "manifest.json").read_text())
            manifest["sha256"][place] = hashlib.sha256(data).hexdigest()
            (path / "manifest.json").write_text(json.dumps(manifest, indent=1))


def unpickled(data: bytes, run: Path) -> None:
    with suppress(Exception):  # it dislikes what it has unpickled: too late
        torch.load(io.BytesIO(data), weights_only=False)
    if not MARKER.exists():  # torch looks at the first bytes of a zip, others from its end
        with suppress(Exception), zipfile.ZipFile(io.BytesIO(data)) as archive:
            pickle.loads(archive.read("archive/data.pkl"))


def pickles() -> list[Attempt]:
    found = []
    for what, payload in PICKLED.items():
        for form, make in FORMS.items():
            data = make(payload())
            found += [
                Attempt(
                    f"13 {what}, {form}, {place}",
                    functools.partial(plant_bytes, data, place),
                    functools.partial(unpickled, data),
                )
                for place in PLACES
            ]
    return found


# --- row 14: a run's configuration that names what it shouldn't

SPOTS = ("model", "model.width", "dataset", "dataset.noise")


def plant_node(node: Any, spot: str, run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    *parents, last = spot.split(".")
    functools.reduce(dict.__getitem__, parents, config)[last] = copy.deepcopy(node)
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def instantiated(node: Any, run: Path) -> None:
    with suppress(Exception):
        hydra.utils.instantiate(OmegaConf.create(copy.deepcopy(node)))
    if not MARKER.exists():  # newer Hydras refuse some names
        with suppress(Exception):
            unguarded(copy.deepcopy(node))


def targets() -> list[Attempt]:
    found = []
    for what, node in PAYLOADS.items():
        if what not in DEAD:
            shapes = {"": node, ", nested": {"_target_": "builtins.list", "_args_": [[node]]}}
            found += [
                Attempt(
                    f"14 {what}{how}, {spot}",
                    functools.partial(plant_node, shaped, spot),
                    functools.partial(instantiated, shaped),
                )
                for how, shaped in shapes.items()
                for spot in SPOTS
            ]
    return found


# --- row 15: logging configurations, which Python itself runs

FACTORY = {"()": "os.system", "command": "touch marker"}
LOGGINGS = {
    "handler": {"version": 1, "handlers": {"h": FACTORY}, "root": {"handlers": ["h"]}},
    "formatter": {"version": 1, "formatters": {"f": FACTORY}},
    "filter": {"version": 1, "filters": {"f": FACTORY}},
    "file": {
        "version": 1,
        "handlers": {"h": {"class": "logging.FileHandler", "filename": "marker"}},
        "root": {"handlers": ["h"]},
    },
}
HYDRAS = (".hydra/hydra.yaml", ".hydra/config.yaml", "hydra.yaml", "logging.yaml", "multirun.yaml")
FILES = (*HYDRAS, "config.yaml")


def plant_logging(node: Any, file: str, run: Path) -> None:
    path = run / file
    kept = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(kept | {"hydra": {"job_logging": node, "hydra_logging": node}} | node))


def logged(node: Any, run: Path) -> None:
    handlers = logging.root.handlers[:]
    with suppress(Exception):
        logging.config.dictConfig(copy.deepcopy(node))
    for handler in {*logging.root.handlers} - {*handlers}:
        handler.close()
    logging.root.handlers = handlers


def loggings() -> list[Attempt]:
    return [
        Attempt(
            f"15 {what}, {file}",
            functools.partial(plant_logging, node, file),
            functools.partial(logged, node),
        )
        for what, node in LOGGINGS.items()
        for file in FILES
    ]


# --- row 16: references, and paths that lead elsewhere

REFERENCES = ("${touch:}", "${oc.env:SECRET}", "${oc.decode:'${touch:}'}", "${oc.create:{a: '${touch:}'}}")
WANTED = ("model.width", "model._target_", "dataset.noise", "dataset.seed", "seed")

LINKS = (
    *("config.yaml", "run.json", "metrics.csv", "checkpoints", "checkpoints/best", ".lock", "tensorboard"),
    *("evaluation", "checkpoints/best/00000004", "anything"),
)
NAMES = ("../../x.safetensors", "../x.safetensors", "{outside}/x.safetensors", "a/b.safetensors")


def resolved(text: str, run: Path) -> None:
    try:
        found = OmegaConf.to_container(OmegaConf.create({"a": text}), resolve=True)
    except Exception:  # of what the resolver gives
        return
    if SECRET in str(found):
        MARKER.touch()


def plant_link(name: str, run: Path) -> None:
    """In the place of a file or a folder, a link to one outside, as good as it."""
    path = run / name
    outside = run.parent / "outside" / name
    outside.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(outside)
    else:
        outside.mkdir() if "." not in name else outside.write_text("precious")
    path.symlink_to(outside)


def plant_name(name: str, run: Path) -> None:
    """A manifest that names a file of another folder."""
    for kind in ("best", "last"):
        path = left.newest(run, kind)
        target = Path(name.format(outside=run.parent / "outside"))
        data = (path / "model.safetensors").read_bytes()
        (path / target).parent.mkdir(parents=True, exist_ok=True)
        (path / target).write_bytes(data)
        manifest = json.loads((path / "manifest.json").read_text())
        manifest["sha256"][str(target)] = hashlib.sha256(data).hexdigest()
        (path / "manifest.json").write_text(json.dumps(manifest, indent=1))


def followed(name: str, run: Path) -> None:
    """What plain reading and writing do with a link."""
    path, outside = run / name, run.parent / "outside" / name
    if path.is_dir():
        same = {each.name for each in path.iterdir()} == {each.name for each in outside.iterdir()}
        path, outside = path / "new", outside / "new"
    else:
        same = path.read_bytes() == outside.read_bytes()
    path.write_text(SECRET)
    if same and outside.read_text() == SECRET:
        MARKER.touch()


def climbed(run: Path) -> None:
    """What plain reading does with names of a manifest."""
    path = left.newest(run)
    for name, digest in json.loads((path / "manifest.json").read_text())["sha256"].items():
        file = path / name
        right = hashlib.sha256(file.read_bytes()).hexdigest() == digest
        if right and file.resolve().parent != path.resolve():
            MARKER.touch()


def paths() -> list[Attempt]:
    references = [
        Attempt(
            f"16 {text}, {spot}", functools.partial(plant_node, text, spot), functools.partial(resolved, text)
        )
        for text in REFERENCES
        for spot in WANTED
    ]
    links = [
        Attempt(f"16 link {name}", functools.partial(plant_link, name), functools.partial(followed, name))
        for name in LINKS
    ]
    names = [Attempt(f"16 manifest {name}", functools.partial(plant_name, name), climbed) for name in NAMES]
    return [*references, *links, *names]


ATTEMPTS = [*pickles(), *targets(), *loggings(), *paths()]
ROWS = {row: [each for each in ATTEMPTS if each.name.startswith(row)] for row in ("13", "14", "15", "16")}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, with a secret in the environment and evil modules to import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    Path("evil_module.py").write_text(EVIL.format(marker=str(tmp_path / "marker")))
    Path("evil_package").mkdir()
    Path("evil_package/__init__.py").write_text(EVIL.format(marker=str(tmp_path / "marker")))
    Path("evil.pickle").write_bytes(pickle.dumps(PICKLED["touch"]()))
    OmegaConf.register_new_resolver("touch", lambda: MARKER.touch(), replace=True)
    yield tmp_path
    OmegaConf.clear_resolver("touch")
    forget()


def test_there_are_two_hundred_attempts_and_none_twice():
    assert len({each.name for each in ATTEMPTS}) == len(ATTEMPTS) >= 200
    assert all(len(each) >= 20 for each in ROWS.values())
    print(f"hostile attempts: {len(ATTEMPTS)}, by row { ({row: len(each) for row, each in ROWS.items()}) }")


@pytest.mark.filterwarnings("ignore")  # files that payloads leave open
@pytest.mark.parametrize("row", ROWS)
def test_rows_13_to_16_no_attempt_succeeds_and_each_was_live(folder, row):
    for number, attempt in enumerate(ROWS[row]):
        place = folder / str(number)
        place.mkdir()
        run = left.copy(place)
        attempt.plant(run)
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        for kind in ("best", "last") if row == "13" else ("best",):
            try:
                _ = open_run(run, kind, ()).dataset  # read too, as judging does
            except UserError as error:
                assert "\n" not in str(error), attempt.name
                assert SECRET not in str(error), attempt.name
            else:
                # nobody looks there, or the checkpoint before was taken
                assert kind == "last" or row == "15" or "seed" in attempt.name, attempt.name
        assert not MARKER.exists(), attempt.name
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
        if row in ("13", "16"):  # those that a run which is carried on could meet
            again = shutil.copytree(run, place / "again", symlinks=True)
            try:
                left.carry_on(again)
            except UserError as error:
                assert "\n" not in str(error), attempt.name
                assert SECRET not in str(error), attempt.name
            else:  # from the checkpoint before
                assert row == "13" or "manifest" in attempt.name, attempt.name
            assert not MARKER.exists(), attempt.name
            shutil.rmtree(again)
            assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
        forget()
        attempt.live(run)
        assert MARKER.exists(), f"{attempt.name} would never have worked"
        MARKER.unlink()
        forget()


@pytest.mark.parametrize("what", LOGGINGS)
def test_row_15_a_run_is_carried_on_past_its_logging_configuration(folder, what):
    run = left.copy(folder)
    for file in HYDRAS:
        plant_logging(LOGGINGS[what], file, run)
    left.train(run)
    assert not MARKER.exists()


@pytest.mark.parametrize("name", [".lock", "checkpoints", "checkpoints/last", "tensorboard", "metrics.csv"])
def test_row_16_training_writes_and_deletes_nothing_through_a_link(folder, name):
    run = left.copy(folder)
    plant_link(name, run)
    outside = folder / "outside"
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="a link that leads out of"):
        left.train(run, "trainer.max_steps=6")
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def test_row_16_a_link_within_a_run_is_none_of_it(folder):
    run = left.copy(folder)
    (run / "checkpoints/mine").symlink_to("best")
    flows.load(run)
    assert checkpoint.newest(run / "checkpoints/mine") is not None


def test_row_16_what_would_make_a_reader_wait_is_refused(folder):
    run = left.copy(folder)
    (run / "metrics.csv").unlink()
    os.mkfifo(run / "metrics.csv")
    with pytest.raises(UserError, match=r"metrics\.csv: neither a file nor a folder"):
        flows.load(run)


def test_row_16_a_small_file_that_unfolds_is_refused(folder):
    run = left.copy(folder)
    bomb = "a: &a [1,1]\n" + "".join(f"{b}: &{b} [*{a},*{a}]\n" for a, b in pairwise("abcdefgh"))
    (run / "config.yaml").write_text(bomb + (run / "config.yaml").read_text())
    with pytest.raises(UserError, match=r"can't be read \(an alias"):
        flows.load(run)


@pytest.mark.parametrize("key", ["width", "layers"])
def test_row_14_a_model_larger_than_its_weights_is_refused_before_it_is_made(folder, key):
    run = left.copy(folder)
    plant_node(10**5, f"model.{key}", run)
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="larger than the weights that were saved"):
        flows.load(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin < 2**16  # KiB


GIANT = 2**31  # bytes that are claimed, of which the disk holds a few thousand
ROOM = 2**29  # bytes that a process may have besides those that it has when it begins


def giant(path: Path, honest: bool) -> None:
    """Weights in a sparse file, of the size that its header says or not."""
    file = path / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, end = json.loads(data[8 : 8 + length]), len(data) - 8 - length
    if honest:
        name = "average.giant"
        header[name] = {"dtype": "F32", "shape": [GIANT // 4], "data_offsets": [end, end + GIANT]}
        end += GIANT
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    os.truncate(file, 8 + len(text) + (end if honest else GIANT))
    manifest = json.loads((path / "manifest.json").read_text())
    if honest:  # the others aren't read that far
        with file.open("rb") as weights:
            manifest["sha256"]["model.safetensors"] = hashlib.file_digest(weights, "sha256").hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest, indent=1))


def little_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.mark.parametrize("honest", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_row_16_weights_of_gigabytes_are_refused_before_they_are_read(folder, honest):
    run = left.copy(folder)
    giant(left.newest(run), honest)
    drawn = live(
        *("run=run", "task=sample", "output=a.csv", "checkpoint=last"),
        cwd=folder,
        program="evaluate",
        tricks=[little_memory],
    )
    carried = live(*left.OPTIONS, "trainer.max_steps=6", "run_dir=run", cwd=folder, tricks=[little_memory])
    if honest:
        for end in (drawn, carried):
            assert (end.status, end.out, end.err.count("\n")) == (2, "", 1), end.err
            assert "larger than a checkpoint of this model" in end.err
    else:
        assert (drawn.status, carried.status) == (0, 0), drawn.err + carried.err
        assert "damaged; taking that of step 2" in drawn.err
        assert "damaged; carrying on from step 2" in carried.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("shape", [-1]), ("shape", [10**12]), ("names", ["a"]), ("support", [[1, 0], None])),
        *(
            ("quantum", [0.0, None]),
            ("levels", [None]),
            ("dtypes", ["object", "int64"]),
            ("dtypes", ["str", "int64"]),
            ("context_shape", [3]),
            ("context_dtypes", ["int64"]),
            ("context_levels", ["a"]),
        ),
    ],
)
def test_row_14_examples_that_contradict_themselves_are_refused(folder, key, value):
    run = left.copy(folder)
    facts = json.loads((run / "run.json").read_text())
    facts["spec"][key] = value
    (run / "run.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"run\.json: spec: .*, so it is damaged"):
        flows.load(run)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metrics.csv", "stp,nll\n1,2\n"),
        ("metrics.csv", "step,nll\nx,2\n"),
        ("run.json", '{"steps": "many"}'),
        ("run.json", '{"steps": 4, "seconds": "long"}'),
    ],
)
def test_row_11_a_record_that_makes_no_sense_is_one_line_when_carried_on(folder, name, text):
    run = left.copy(folder)
    (run / name).write_text(text)
    with pytest.raises(UserError, match=name) as refusal:
        left.train(run, "trainer.max_steps=6")
    assert "\n" not in str(refusal.value)
