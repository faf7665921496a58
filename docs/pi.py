"""The README's second picture, of a run on the drawn π: python -m docs.pi RUN (writes docs/pi.png)."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import flows
from data.xyrgb import xyrgb
from flows.evaluation.figures import png
from flows.evaluation.plots.picture import coloured_panels
from flows.files import write_whole

dataset, density = xyrgb(), flows.load(sys.argv[1])
real = dataset.source("train").take(slice(None)).x
drawn = density.sample(len(real), generator=torch.Generator().manual_seed(0)).double()
write_whole(Path("docs/pi.png"), png(coloured_panels(real, drawn, dataset.spec)))
