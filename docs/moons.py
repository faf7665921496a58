"""The README's picture, of a finished run on two moons: python -m docs.moons RUN (writes docs/moons.png)."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.colors import Normalize

import flows
from data.toys import moons
from flows.core import Batch, Flow
from flows.evaluation.blocks import latent, log_prob
from flows.evaluation.figures import png
from flows.evaluation.plots.style import class_colours, label, panels, plane, scatter
from flows.files import write_whole

SIDE, POINTS = 300, 3000
DATA, LATENT = ((-1.4, 2.4), (-1.65, 2.15)), ((-3.5, 3.5), (-3.5, 3.5))

dataset, flow = moons(n_test=POINTS), flows.load(sys.argv[1])
assert isinstance(flow, Flow)
classes = dataset.classes("test")
batch = dataset.source("test").take(slice(None))
grid = Batch(torch.cartesian_prod(*(torch.linspace(*ends, SIDE, dtype=torch.float64) for ends in DATA)))
masses = [log_prob(density, grid).exp().reshape(SIDE, SIDE).T for density in (dataset.truth, flow)]
clouds = [batch.x, latent(flow, batch)]

figure, axes = panels(1, 4, 2.9)
figure.set_size_inches(11, 2.9)
for each, mass in zip(axes[:2], masses, strict=True):
    norm = Normalize(0, float(masses[0].max()))
    each.imshow(mass.numpy(), origin="lower", extent=(*DATA[0], *DATA[1]), norm=norm, cmap="viridis")
for each, points in zip(axes[2:], clouds, strict=True):
    scatter(each, points, class_colours(classes))
titles = ("true density", "model's density", "data x", "→  latent z")
for each, title, limits in zip(axes, titles, (DATA, DATA, DATA, LATENT), strict=True):
    plane(each, limits)
    label(each, title)
write_whole(Path("docs/moons.png"), png(figure))
