"""What benchmarks do with what they measured; they themselves are no tests."""

from __future__ import annotations

import ast
import json
import re
from multiprocessing import get_context

from documents import ROOT, section

from benchmarks.page import SECTIONS, page
from benchmarks.rows import keep, kept, medians

FEW = 15


def _keep_some(path, name):
    for number in range(FEW):
        keep(path, {"call": name, "number": number})


def test_no_row_is_lost_when_two_calls_go_side_by_side(tmp_path):
    path = tmp_path / "rows.json"
    calls = [get_context("fork").Process(target=_keep_some, args=(path, name)) for name in "ab"]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    rows = kept(path)
    assert len(rows) == 2 * FEW
    assert [row["number"] for row in rows if row["call"] == "b"] == [*range(FEW)]


def test_medians_are_of_the_rows_that_have_a_number():
    rows = [{"a": 1.0}, {"a": 3.0, "b": 2.0}, {"a": 4.0, "b": None}]
    assert medians(rows, ("a", "b", "c")) == {"a": 3.0, "b": 2.0}


def test_the_page_leaves_out_what_hasnt_been_measured():
    lines = page({}).splitlines()
    assert lines[0] == "# Benchmarks"
    assert not any(line.startswith("## ") for line in lines)


def test_the_page_is_of_the_results():
    files = (ROOT / "benchmarks/results").glob("*.json")
    found = {path.stem: json.loads(path.read_text()) for path in files}
    assert page(found) == (ROOT / "BENCHMARKS.md").read_text()


def test_each_measurement_is_explained():
    tree = ast.parse((ROOT / "benchmarks/bench.py").read_text())
    measures = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "MEASURES"
    )
    names = {key.value for key in measures.keys}
    assert names == {*SECTIONS}
    text = section((ROOT / "CONTRIBUTING.md").read_text(), "Benchmarks")
    assert {*re.findall(r"`([a-z]+)`,\s", text)} == names
