"""A run, or several, as one HTML file that needs nothing else: text, tables, figures and all."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flows.evaluation.meaning import Row, number, rows
from flows.evaluation.plots.style import INK, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADLINES = (
    *("nll_gap", "crps", "spread_skill", "log_spectral_distance"),
    *("kl_to_truth", "nll", "mmd", "sample_energy_distance", "c2st", "memorisation_z"),
)
TILES = 4  # as many as stand in a row

TITLES = {
    "loss": "Loss",
    "latent": "Data and latent",
    "warp": "The latent grid, layer by layer",
    "density": "Density",
    "samples": "Samples",
    "points": "Points in their colours",
    "picture": "The picture, redrawn",
    "histograms": "Each feature alone",
    "corner": "Features in pairs",
    "components": "Principal components",
    "fields": "Fields",
    "context": "What else is given",
    "crps": "CRPS, cell by cell",
    "spectra": "Spectra",
    "ranks": "Ranks",
}
CAPTIONS = {
    "loss": "Scores while training, on training batches and on the validation part; likelihoods in nats. "
    "Where validation rises while training falls, the model learns its points by heart.",
    "latent": "Above, held-out points and the latents they are carried to: these should fill the circles "
    "(one, two and three standard deviations) like a Gaussian. Below, latent draws and the points they "
    "generate, coloured like the held-out point nearest to where they land (by angle where there are no "
    "classes).",
    "warp": "A regular grid over the latent plane, carried into data space. Blue lines start upright, orange "
    "ones level.",
    "density": "One colour scale, linear above and logarithmic below, where bridges between modes show.",
    "samples": "Held-out points beside as many generated ones, in the data's units.",
    "fields": "A held-out case a row: what the context says of the field, the field that came true, mean and "
    "spread of sixteen samples, and four of them. Each sample should be as rough as the truth, and differ "
    "where the spread is wide.",
    "context": "In the same cases, what is given beside the fields themselves: each channel on a scale of "
    "its own.",
    "crps": "Mean score of sixteen draws in each cell, over held-out cases, in the data's units: lower is "
    "better. Beside it, where the exact law is known, that of its draws under the same contexts, by the same "
    "colours; red is where the model does worse.",
    "spectra": "Power of held-out fields and of draws, by waves across the field. Where draws lie below, "
    "they are too smooth at that scale.",
    "ranks": "Where what came true stands among the draws, in a cell of each case. A bowl means draws that "
    "lie too close together, a hill that they lie too far apart, a slope that all are too high or low. Of a "
    "perfect model's bars 99 % end between the grey lines.",
    "points": "Held-out points beside as many generated ones, each in its own red, green and blue, in "
    "the picture's proportions. Look for colours out of place, and for points where there should be none.",
    "picture": "All points of the data beside draws, put back into pixels: the picture's own, or larger "
    "ones where draws wouldn't fill them. A pixel has the mean colour of its points, none where it is "
    "empty: noise in it is a colour the model isn't sure of.",
    "histograms": "Held-out points, filled, and generated ones, as a line, over the range of the held-out "
    "ones; density per unit of the feature. Look for peaks that are missing or rounded off, and at the ends "
    "of a range. At most the first nine features.",
    "corner": "On the diagonal each feature alone, below it each pair, in the data's units; as many points "
    "of each kind, lattices spread over their cells. One colour where the other is missing is a fault. At "
    "most the first six features; long names are cut.",
    "components": "The plane in which the held-out points vary most, each feature in standard deviations; "
    "in brackets the share of the variance along each axis. Generated points are put into the same plane: "
    "the clouds should have the same outline and the same dense places.",
}


class Picture(NamedTuple):
    """A figure as it stands in the page."""

    title: str
    svg: Markup
    caption: str
    wide: bool


class Step(NamedTuple):
    """A command, and what it is for."""

    purpose: str
    command: str


def page(
    name: str,
    summary: str,
    metrics: Mapping[str, float],
    figures: Mapping[str, Figure],
    warnings: Sequence[str],
    facts: Mapping[str, Any],
    config: Mapping[str, Any],
    steps: Sequence[Step],
) -> str:
    """The page of one run.

    Args:
        name: What the run is called.
        summary: What it is, in a line.
        metrics: Flat numbers, from `measure`.
        figures: By name, in the order shown.
        warnings: What a reader must know first.
        facts: What run.json says, however deep.
        config: The run's configuration.
        steps: How to get here again.
    """
    table = rows(metrics)
    return render(
        "report.html.j2",
        name=name,
        summary=summary,
        headlines=_headlines(table),
        table=table,
        pictures=_pictures(figures),
        warnings=warnings,
        facts=_flat(facts),
        config=yaml.safe_dump(dict(config), sort_keys=False),
        steps=steps,
    )


def comparison(
    metrics: Mapping[str, Mapping[str, float]], figures: Mapping[str, Figure], warnings: Sequence[str]
) -> str:
    """The page of several runs: their curves and densities together, their numbers side by side.

    Args:
        metrics: Flat numbers of each run, by its name.
        figures: By name, in the order shown.
        warnings: What a reader must know first.
    """
    tables = {name: {row.key: row for row in rows(each)} for name, each in metrics.items()}
    keys = dict.fromkeys(key for table in tables.values() for key in table)
    meanings = {key: next(table[key].meaning for table in tables.values() if key in table) for key in keys}
    pictures = _pictures(figures)
    return render(
        "comparison.html.j2",
        name="Comparison",
        tables=tables,
        meanings=meanings,
        pictures=pictures,
        warnings=warnings,
    )


def _headlines(table: Sequence[Row]) -> list[Row]:
    by_key = {row.key: row for row in table}
    return [by_key[key] for key in HEADLINES if key in by_key][:TILES]


def _pictures(figures: Mapping[str, Figure]) -> list[Picture]:
    pictures = []
    for name, figure in figures.items():
        kind, _, channel = (name, "", "") if name in TITLES else name.partition("_")
        title = ": ".join(filter(None, (TITLES.get(kind, kind), channel)))
        wide = bool(figure.get_figwidth() > 1.25 * WIDTH)
        pictures.append(Picture(title, svg(figure, title), CAPTIONS.get(kind, ""), wide))
    return pictures


def svg(figure: Figure, title: str) -> Markup:
    """The figure as an element of the page, its text in the page's own colour, light or dark."""
    buffer = io.StringIO()
    silent = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # metadata would name outside vocabularies
    figure.savefig(buffer, format="svg", dpi=200, transparent=True, metadata=silent)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") + len("<svg") :].replace(INK, "currentColor")
    return Markup('<svg role="img" aria-label="{}"').format(title) + Markup(drawing)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Facts by a readable name, one level, in a person's words."""
    flat: dict[str, str] = {}
    for key, value in facts.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name} · ")
        elif isinstance(value, list | tuple):
            flat[name] = ", ".join(map(str, value))
        elif isinstance(value, bool) or not isinstance(value, int | float):
            flat[name] = "—" if value is None else str(value)
        else:
            flat[name] = f"{value:,}" if isinstance(value, int) else number(value)
    return flat


def render(template: str, package: str = "flows.evaluation", **given: Any) -> str:
    """A page from a template, everything escaped that isn't marked as safe.

    Args:
        template: File in the package's `templates`, where it can build on those of this one.
        package: Whose template it is.
        given: What stands in it.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "flows.evaluation"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**given)
