"""The original project's transformer, which rebuilt points that it was fed: a reference, not a generator."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from flows.core import Dataset, Sampler

WIDTH, HEADS, LAYERS, LR, EPOCHS, BATCH = 128, 4, 4, 1e-3, 50, 64
HIDDEN = 0.3  # share of the features that is masked
COLOUR = 10.0  # weight of a colour's squared error


@final
class Rebuilder(Sampler):
    """Sees a point with some features masked, and says what they were: a number each, and no density."""

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        features = points.shape[1]
        self.points = points
        self.value = nn.Linear(1, WIDTH)
        self.feature = nn.Parameter(0.02 * torch.randn(features, WIDTH))
        self.masked = nn.Parameter(0.02 * torch.randn(WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True)
        self.net = nn.TransformerEncoder(layer, LAYERS)
        self.answer = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        seen = torch.where(hidden.unsqueeze(-1), self.masked, self.value(x.unsqueeze(-1)))
        answer = self.answer(self.net(seen + self.feature))[..., 0]
        xy, rgb = answer[..., :2], answer[..., 2:].sigmoid()
        return torch.cat((xy, rgb), -1)

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        places = torch.randint(len(self.points), (n,), generator=generator)
        x = self.points[places]
        return self(x, _mask(x, generator))


def train(dataset: Dataset, seed: int) -> Rebuilder:
    """50 epochs of squared error on masked features, colours ten times as heavy."""
    torch.manual_seed(seed)
    source = dataset.source("train")
    assert source is not None
    x = source.take(slice(None)).x.float()
    model = Rebuilder(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    weights = torch.tensor([1.0, 1.0, COLOUR, COLOUR, COLOUR])
    for _ in range(EPOCHS):
        for places in torch.randperm(len(x)).split(BATCH):
            hidden = _mask(x[places], None)
            error = (model(x[places], hidden) - x[places]).square() * weights
            loss = (error * hidden).sum() / hidden.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def _mask(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(x.shape, generator=generator) < HIDDEN
