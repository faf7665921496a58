import json
import re
from html.parser import HTMLParser

import pytest
import torch
from gaussians import Drawn, gaussian

from data.grf import grf
from flows.evaluation.figures import training_figures
from flows.evaluation.meaning import rows
from flows.evaluation.measure import measure
from flows.evaluation.report import CAPTIONS, TITLES, Step, comparison
from flows.evaluation.report import page as written

NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


class Balance(HTMLParser):
    """Notes tags that are closed without having been opened, or never closed."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def measured():
    torch.set_num_threads(1)
    data = Drawn(gaussian(), n=500)
    model = gaussian(std=1.2)
    return measure(model, data, pairs=100).metrics, training_figures(model, data, "test", points=100)


@pytest.fixture(scope="module")
def page(measured):
    metrics, figures = measured
    return written(
        "a <script>run</script>",
        "gaussian on draws",
        metrics,
        figures,
        ["something & something is wrong"],
        {
            "commit": "abc123",
            "versions": {"torch": "2.13"},
            "steps": 12345,
            "spec": ["x", "y"],
            "seconds": 1.5,
        },
        {"model": {"width": 64}},
        [Step("Measure again", "python evaluate.py run=a")],
    )


def test_the_page_tells_everything(page, measured):
    metrics, figures = measured
    for row in rows(metrics):
        for part in (row.key, row.meaning.label, *row[2:]):
            assert part in page
    for told in (
        "abc123",
        "versions · torch",
        "2.13",
        "12,345",
        "x, y",
        "width: 64",
        "python evaluate.py run=a",
    ):
        assert told in page
    assert page.count("<svg") == len(figures)
    assert "something &amp; something is wrong" in page


def test_what_a_run_is_called_is_text_and_not_html(page):
    assert "<script" not in page
    assert "a &lt;script&gt;run&lt;/script&gt;" in page


def test_the_page_needs_nothing_from_outside(page):
    urls = set(re.findall(r"[a-z]+://[^\s\"'<>)]+", page))
    assert urls <= NAMESPACES
    for target in re.findall(r"(?:src|href)=\"([^\"]*)\"", page):
        assert target.startswith(("#", "data:")), target[:60]
    assert not re.search(r"@import|<link|<script|url\((?!#)", page)


def test_the_page_is_well_formed_and_made_for_small_screens(page):
    balance = Balance()
    balance.feed(page)
    assert balance.wrong == balance.open == []
    assert page.startswith("<!doctype html>")
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_text_in_figures_takes_the_colour_of_the_page(page):
    assert "currentColor" in page
    assert "#2b2f38" not in page


def test_each_figure_has_a_caption_and_a_name_for_those_who_do_not_see_it(page):
    assert all(caption for caption in re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL))
    assert len(re.findall(r'<svg role="img" aria-label="[^"]+"', page)) == page.count("<svg")


def test_figures_of_each_channel_are_titled_captioned_and_as_wide_as_the_page():
    data = grf(height=8, width=8, channels=2, n_train=4, n_test=10)
    figures = training_figures(data.truth, data, "test")
    html = written("fields", "", {}, figures, [], {}, {}, [])
    titles = re.findall(r"<h3>(.*?)</h3>", html)
    assert titles == ["Fields: x0", "Fields: x1", "CRPS, cell by cell", "Spectra", "Ranks"]
    assert html.count('<figure class="wide">') == 2
    assert all(caption for caption in re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL))


def test_numbers_that_are_not_finite_are_shown():
    nan = float("nan")
    page = written("a", "", {"nll": float("inf"), "nll_low": nan, "nll_high": nan}, {}, [], {}, {}, [])
    assert "∞" in page


def test_figures_against_training_points_have_a_column_where_there_are_any():
    metrics = {"mmd": 0.5, "mmd_floor": 0.1, "mmd_train": 0.375, "mmd_train_floor": 0.25, "nll": 1.0}
    with_train, without = (
        written("a", "", each, {}, [], {}, {}, []) for each in (metrics, {"mmd": 0.5, "mmd_floor": 0.1})
    )
    heads, cells = (re.findall(rf"<{tag}[ >]", with_train) for tag in ("th", "td"))
    assert (len(heads), len(cells)) == (5 + 2, 2 * 4)
    assert re.search(
        r'<td data-label="Against training points">0.3750<div[^>]*>floor 0.2500</div></td>', with_train
    )
    assert '<td data-label="Against training points"></td>' in with_train  # folds away on a phone
    assert "training" not in re.sub(r"(?s)<style>.*</style>", "", without).lower()
    assert "training 0.3750" in comparison({"run": metrics}, {}, [])


def test_the_headlines_fill_one_row():
    metrics = dict.fromkeys(("nll", "kl_to_truth", "c2st", "mmd", "sample_energy_distance", "copied"), 1.0)
    page = written("a", "", metrics, {}, [], {}, {}, [])
    labels = re.findall(r'<p class="label">(.*?)</p>', page)
    assert labels[:2] == ["KL to the truth", "Negative log-likelihood"]
    assert len(labels) == 4


@pytest.mark.parametrize("features", [1, 2, 5])
def test_each_figure_that_can_be_drawn_has_a_title_and_a_caption(features):
    model, data = gaussian(features), Drawn(gaussian(features), features, n=200)
    if features == 5:
        data.spec = data.spec._replace(names=("x", "y", "r", "g", "b"))
    figures = training_figures(model, data, points=50, draws=100)
    assert {"loss", *figures} <= TITLES.keys()
    assert TITLES.keys() == CAPTIONS.keys()


def test_a_comparison_has_a_column_for_each_run(measured):
    metrics, figures = measured
    partial = {"nll": 1.2345}
    page = comparison({"first": metrics, "second": partial}, figures, [])
    assert "1.2345" in page
    assert page.count("<th>first</th>") == page.count("<th>second</th>") == 1
    assert page.count("<tr>") == 1 + len(rows(metrics))
    assert json.dumps(metrics["nll"])[:5] in page
