"""An adversary beside the likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from flows.core import Batch, Flow, Sampler, Spec
from flows.masks import present
from flows.objectives.objective import Nets, Noise, Objective
from flows.transforms import Standardize, normaliser
from flows.types import NonNegativeFloat, PositiveInt


@final
class WGANGP(Objective):
    r"""The flow minimises -E[f(G(z, c), c)] + α·NLL per dimension, against a critic f of slope near 1.

    The critic minimises E[f(G(z, c), c)] - E[f(x, c)] + λ·E[(‖∇f(x̂, c)‖ - 1)²], at x̂ somewhere between an x
    and a draw under the same context; `wasserstein`, its first two terms turned round, estimates how far
    draws are from data. Its slopes are in standard deviations of x, so λ and α mean the same whatever the
    units. Validation is the exact NLL.

    Args:
        critic: Builds f from a shape and the context's channels.
        n_critic: Turns of the critic, each on a batch of its own, to one of the flow.
        penalty: λ.
        alpha: α; 0 for no likelihood.

    References: Gulrajani et al. 2017, Improved training of Wasserstein GANs, arXiv:1704.00028; Grover et al.
        2018, Flow-GAN: combining maximum likelihood and adversarial learning, arXiv:1705.08868.
    """

    needs = Flow

    def __init__(
        self,
        critic: Callable[[tuple[int, ...], int], nn.Module],
        n_critic: PositiveInt = 5,
        penalty: NonNegativeFloat = 10.0,
        alpha: NonNegativeFloat = 100.0,
    ) -> None:
        self.critic = critic
        self.cycle = (*["critic"] * n_critic, "model")
        self.penalty = penalty
        self.alpha = alpha

    def players(self, model: Sampler, spec: Spec, examples: Batch) -> dict[str, nn.Module]:
        critic = Judge(self.critic(spec.shape, len(spec.context_names)), spec)
        critic.to(examples.x.dtype).initialise(examples)
        return {"model": model, "critic": critic}

    def noise(self, player: str, nets: Nets, batch: Batch, generator: torch.Generator) -> Noise:
        flow, x = cast("Flow", nets["model"]), batch.x
        latent = {"z": flow.base.sample(len(x), None, generator)}
        if player == "model":
            return latent
        share = torch.rand(len(x), *[1] * (x.dim() - 1), generator=generator, dtype=x.dtype, device=x.device)
        return latent | {"share": share}

    def loss(self, player: str, nets: Nets, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        flow, critic = cast("Flow", nets["model"]), cast("Judge", nets["critic"])
        if player == "critic":
            return self._critic_loss(flow, critic, batch, noise)
        return self._generator_loss(flow, critic, batch, noise)

    def validate(self, nets: Nets, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        flow, critic = cast("Flow", nets["model"]), cast("Judge", nets["critic"])
        fake, _ = flow.rsample(noise["z"], batch.context)
        real = critic(batch.x, batch.context)
        return {
            "nll": -flow.log_prob(batch.x, batch.context),
            "wasserstein": real - critic(fake, batch.context),
        }

    def _critic_loss(
        self, flow: Flow, critic: Judge, batch: Batch, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            fake, _ = flow.rsample(noise["z"], batch.context)
            real, context = critic.in_units(batch.x, batch.context)
            fake, _ = critic.in_units(fake)
        between = torch.lerp(fake, real, noise["share"])
        # torch.func differentiates twice under torch.compile too, which autograd.grad doesn't
        slopes = grad(lambda x: critic.score(x, context).sum())(between)
        penalty = (torch.linalg.vector_norm(slopes.flatten(1), dim=1) - 1).square().mean()
        wasserstein = critic.score(real, context).mean() - critic.score(fake, context).mean()
        loss = self.penalty * penalty - wasserstein
        return loss, {"critic_loss": loss, "gradient_penalty": penalty, "wasserstein": wasserstein}

    def _generator_loss(
        self, flow: Flow, critic: Judge, batch: Batch, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fake, _ = flow.rsample(noise["z"], batch.context)
        held = {name: p.detach() for name, p in critic.named_parameters()}  # it needs no gradient now
        adversarial = -functional_call(critic, held, (fake, batch.context)).mean()
        nll = -flow.log_prob(batch.x, batch.context).mean()
        per_dim = nll / critic.units.cells.sum()
        loss = adversarial + self.alpha * per_dim
        logs = {"generator_loss": loss, "generator_adversarial": adversarial, "generator_nll": per_dim}
        return loss, logs | {"nll": nll}


@final
class Judge(nn.Module):
    """A critic that sees x and context in standard deviations.

    Args:
        net: Scores (B,) of x (B, *shape) and a context, both standardised.
        spec: What x and context are.

    Shapes: x (B, *shape); context (B, *context_shape) or None; score (B,).
    """

    def __init__(self, net: nn.Module, spec: Spec) -> None:
        super().__init__()
        self.net = net
        self.units = Standardize(spec.shape, len(spec.shape) - 1, present(spec.absent, spec.shape))
        self.normaliser = normaliser(spec)

    def initialise(self, batch: Batch) -> None:
        """Fit the units."""
        self.units.initialise(Batch(batch.x))
        if self.normaliser is not None and batch.context is not None:
            self.normaliser.initialise(Batch(batch.context))

    def in_units(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x and context, standardised."""
        if self.normaliser is not None and context is not None:
            context = self.normaliser(context)[0]
        return self.units(x)[0], context

    def score(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The score of what is standardised already; its gradient is zero at absent cells."""
        there = self.units.present
        return self.net(x if there is None else torch.where(there, x, 0.0), context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.score(*self.in_units(x, context))
