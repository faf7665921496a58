"""What the documents show: fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FEW = ("dataset.n_train=512", "dataset.n_val=64", "dataset.n_test=128")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+/\S+\.(?:py|yaml))\n")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file it is to be if its first line says so."""

    language: str
    text: str
    file: str | None


def blocks(document: str) -> list[Block]:
    """The blocks of a document, in order."""
    found = []
    for language, text in _BLOCK.findall(document):
        file = _FILE.match(text)
        found.append(Block(language, text[file.end() :] if file else text, file[1] if file else None))
    return found


def section(document: str, title: str) -> str:
    """What stands under a heading, up to the next of its rank or above."""
    lines: list[str] = []
    rank, fenced = 0, False
    for line in document.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#+) (.*)\n", line)
        if heading and len(heading[1]) <= rank:
            break
        if rank:
            lines.append(line)
        elif heading and heading[2] == title:
            rank = len(heading[1])
    assert rank, f"no section {title!r}"
    return "".join(lines)


def short(command: str) -> list[str]:
    """The arguments of a `python …` line; training takes three steps on little data.

    A budget that the line itself gives becomes six steps, to be larger than the others'.
    """
    _, *arguments = shlex.split(command)
    if arguments[0] != "train.py":
        return arguments
    steps = 6 if any(argument.startswith("trainer.max_steps=") for argument in arguments) else 3
    alone = "runtime.threads=1"  # another worker has the other core
    return [*arguments, f"trainer.max_steps={steps}", "logger.figures=0", alone, *_few(arguments)]


def _few(arguments: list[str]) -> tuple[str, ...]:
    """What makes the dataset that a command names small."""
    if any(argument.startswith("experiment=xyrgb") for argument in arguments):
        return ("dataset.n=300",)
    if any(argument.startswith("experiment=grf") for argument in arguments):
        small = ("dataset.n_train=64", "dataset.n_val=16", "dataset.n_test=32", "trainer.max_seconds=null")
        return (*small, "dataset.height=16", "dataset.width=16")
    own = any(
        argument in ("dataset=table", "dataset=iris", "experiment=netcdf_downscaling")
        for argument in arguments
    )
    return () if own else FEW


def make_targets(makefile: str) -> dict[str, str]:
    """Targets that a person may ask for, and what the Makefile says of each."""
    return dict(re.findall(r"^([a-z][a-z-]*):.*?## (.*)$", makefile, re.MULTILINE))
