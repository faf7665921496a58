"""Pictures, as matplotlib figures without global state: safe beside a notebook's own, and in threads."""

from flows.evaluation.plots.density import densities
from flows.evaluation.plots.latent import latent_panels
from flows.evaluation.plots.loss import loss_curves
from flows.evaluation.plots.samples import sample_panels
from flows.evaluation.plots.warp import grid_warp

__all__ = ["densities", "grid_warp", "latent_panels", "loss_curves", "sample_panels"]
