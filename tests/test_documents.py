"""What the documents say is so: every command runs, every file that is named is there."""

from __future__ import annotations

import io
import json
import re
import runpy
import sys
import tomllib
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import hasty
import pytest
from documents import ROOT, blocks, make_targets, section, short

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
MAKE = make_targets((ROOT / "Makefile").read_text())


# --- doing what a document says, in an empty folder


@contextmanager
def working_in(folder):
    """As in the project's folder, with nothing there yet."""
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setattr(sys, "argv", sys.argv)
        yield
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


def python(arguments):
    """Run one of the project's programs as the command line would, in this process; its status."""
    sys.argv = [*arguments]
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__")
        else:
            runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
    except SystemExit as leaving:
        return leaving.code or 0
    return 0


def follow(document):
    """Do all that a document's blocks say, in order; raises at the first thing that isn't as it says."""
    for block in blocks(document):
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)
        elif block.language == "bash":
            for line in block.text.splitlines():
                obey(line)
        elif block.language == "python":
            exec(compile(block.text, "a block of python", "exec"), {})
        elif block.language == "console":
            converse(block.text)
        else:
            assert block.language == "text", f"what is a block of {block.language}?"


def obey(line):
    """Do what one line of bash says."""
    words = [word for word in line.split() if not word.startswith("FLOWLAB_")]
    if words[0] == "python":
        assert python(short(line)) == 0, line
    elif words[0] == "make":
        assert set(words[1:]) <= set(MAKE), line
    elif words[:2] == ["tensorboard", "--logdir"]:
        assert [*Path(words[2]).rglob("events.out.tfevents.*")], line
    else:
        assert line == "source .venv/bin/activate", f"nothing checks {line!r}"


def converse(text):
    """Ask what follows each `$`; expect status 2 and, on stderr, the very lines that follow it."""
    for exchange in text.removeprefix("$ ").split("\n$ "):
        command, answer = exchange.split("\n", 1)
        with redirect_stderr(io.StringIO()) as said:
            assert python(short(command)) == 2, command
        assert said.getvalue().strip() == answer.strip(), command


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    """A folder in which all that the README says has been done."""
    folder = tmp_path_factory.mktemp("toured")
    with working_in(folder), pytest.MonkeyPatch.context() as patch:
        hasty.hurry(patch)
        follow(README)
    return folder


def test_the_readme_can_be_followed(toured):
    facts = json.loads((toured / "outputs/first/run.json").read_text())
    assert (facts["step"], facts["status"]) == (6, "finished")  # three steps, then a larger budget
    for name in ("widths", "rates"):
        left = {path.name for path in (toured / "outputs" / name).iterdir()}
        assert left == {*"0123", "multirun.yaml", "summary"}
    assert len((toured / "scored.csv").read_text().splitlines()) == 5001


def test_the_readme_names_all_that_a_run_leaves(toured):
    head, *lines = (
        section(README, "What a run leaves").partition("```text\n")[2].partition("```")[0].splitlines()
    )
    run = toured / head
    named = [{path for path in run.glob(line.split()[0]) if path.is_file()} for line in lines]
    assert all(named), [line for line, files in zip(lines, named, strict=True) if not files]
    assert set().union(*named) == {path for path in run.rglob("*") if path.is_file()}


def test_the_picture_can_be_made_again(toured):
    with working_in(toured):
        follow(section(CONTRIBUTING, "The picture"))
    assert (toured / "docs/moons.png").read_bytes()[1:4] == b"PNG"


WRONG = {
    "an unknown key": "```bash\npython train.py model.widht=3\n```",
    "an unknown option": "```bash\npython train.py model=realnpv\n```",
    "no such program": "```bash\npython trian.py\n```",
    "no such run": "```bash\npython evaluate.py run=outputs/none\n```",
    "no such target": "```bash\nmake trian\n```",
    "nothing to look at": "```bash\ntensorboard --logdir outputs\n```",
    "a command that nothing checks": "```bash\nrm -rf outputs\n```",
    "a name that isn't there": "```python\nimport flows\n\nflows.laod\n```",
    "another error than the document's": "```console\n$ python train.py seed=-1\ntrain.py: error: seed\n```",
    "no error at all": "```console\n$ python train.py --help\ntrain.py: error: help\n```",
    "a language that nothing checks": "```ruby\nputs 1\n```",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_document_is_noticed(tmp_path, text):
    with working_in(tmp_path), pytest.raises((AssertionError, AttributeError, OSError)):
        follow(text)


# --- what needs no running


def test_make_targets_are_explained():
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(MAKE) == set(phony[1].split())
    assert set(re.findall(r"^\| `make ([a-z-]+)", CONTRIBUTING, re.MULTILINE)) == set(MAKE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text()
    targets = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https://")]
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {f"#{title.lower().replace(' ', '-')}" for title in titles}
    assert [link for link in targets if link not in anchors and not (ROOT / link).exists()] == []


def test_the_map_shows_every_room():
    [plan] = [block.text for block in blocks(section(CONTRIBUTING, "The map"))]
    shown = {line.split()[0].rstrip("/") for line in plan.splitlines() if not line.startswith(" ")}
    assert [path for path in shown if not (ROOT / path).exists()] == []
    files = [ROOT / "train.py", ROOT / "evaluate.py"]
    files += [
        path
        for top in ("flows", "data", "tests", "benchmarks", "docs")
        for path in (ROOT / top).rglob("*.py")
    ]
    homeless = [path for path in files if not {path, path.parent} & {ROOT / name for name in shown}]
    assert homeless == []


def test_every_dependency_is_explained():
    listed = re.findall(r"^- \*\*(.*?)\*\*:", section(CONTRIBUTING, "Why each dependency"), re.MULTILINE)
    lines = "".join((ROOT / f"requirements{kind}.txt").read_text() for kind in ("", "-dev"))
    assert sorted(listed) == sorted(re.findall("^(.*)==", lines, re.MULTILINE))


def test_every_command_of_contributing_is_run_somewhere():
    run = {"A model", "A dataset", "An objective", "The picture"}  # here, and in test_extend.py
    followed = [line for title in run for line in commands(section(CONTRIBUTING, title))]
    for line in commands(CONTRIBUTING):
        if line not in followed:
            assert "make" in line.split()
            obey(line)


def commands(document):
    return [
        line for block in blocks(document) if block.language == "bash" for line in block.text.splitlines()
    ]


def test_variables_are_read_by_something():
    code = (ROOT / "tests" / "test_golden.py").read_text()
    named = set(re.findall(r"FLOWLAB_\w+", README + CONTRIBUTING))
    assert named
    assert all(f'environ.get("{name}")' in code for name in named)


def test_the_changelog_is_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    [newest, *_] = re.findall(r"^## \[([^]]+)\] - \d{4}-\d\d-\d\d$", CHANGELOG, re.MULTILINE)
    assert newest == version
