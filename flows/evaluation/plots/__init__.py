"""Pictures, as matplotlib figures without global state: safe beside a notebook's own, and in threads."""

from flows.evaluation.plots.components import component_panels
from flows.evaluation.plots.corner import corner_panels
from flows.evaluation.plots.density import densities
from flows.evaluation.plots.histograms import histogram_panels
from flows.evaluation.plots.latent import latent_panels
from flows.evaluation.plots.loss import loss_curves
from flows.evaluation.plots.picture import coloured_panels, is_picture, redrawn_panels
from flows.evaluation.plots.samples import sample_panels
from flows.evaluation.plots.warp import grid_warp

__all__ = [
    "coloured_panels",
    "component_panels",
    "corner_panels",
    "densities",
    "grid_warp",
    "histogram_panels",
    "is_picture",
    "latent_panels",
    "loss_curves",
    "redrawn_panels",
    "sample_panels",
]
