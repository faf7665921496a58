"""One net, with all that trains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flows.errors import UserError
from flows.optimizing import optimizer_of, stepper
from flows.training.checkpoint import Tensors
from flows.training.fitting import alike, within_range
from flows.training.guard import Checked, checked


@final
class Player:
    """A net whose parameters are views of one flat vector, so that a step costs a handful of operations.

    Clipping, the guard, the optimizer and the average each touch one tensor, whatever the net. Hence
    every optimizer that works element by element fits; one that looks at a matrix's shape (Muon) doesn't.

    Args:
        net: What is trained; its parameters move into the flat vector.
        optimizer: Builds the optimizer of a list of parameters.
        clip_norm: Largest norm of the gradient, longer ones are scaled down; None to leave them.
        ema: Decay of the exponential moving average of the weights; None to keep none.
        lr: Learning rate in the place of the optimizer's own; None to leave that.

    References: Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging, SIAM Journal
        on Control and Optimization 30(4).
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[list[nn.Parameter]], Optimizer],
        clip_norm: float | None = None,
        ema: float | None = None,
        lr: float | None = None,
    ) -> None:
        self.net = net
        self.clip_norm = clip_norm
        self.ema = ema
        self.weights, self.gradient = _flatten(net)
        self.average = self.weights.detach().clone()
        self._build = optimizer
        self.optimizer = optimizer_of(self.weights, optimizer)
        self._step = stepper(self.optimizer)
        self.rates = [group["lr"] if lr is None else lr for group in self.optimizer.param_groups]
        self.capturable = self.weights.is_cuda and all(map(_capturable, self.optimizer.param_groups))
        self.share: float | Tensor = 0.0  # of the new weights in the average
        if self.capturable:  # what changes from step to step is then read from the device
            self.share = self.weights.new_zeros(())
            for group in self.optimizer.param_groups:
                # in single precision, which is all that fused ones take
                group["lr"] = torch.zeros((), device=self.weights.device)
                group["capturable"] = True
        self.steps = 0
        self.grad_norm = self.weights.new_zeros(())
        self.longest = self.weights.new_tensor(torch.inf if clip_norm is None else clip_norm)
        self.sound = torch.ones((), dtype=torch.bool, device=self.weights.device)
        self.good = torch.zeros((), dtype=torch.long, device=self.weights.device)

    def backward(self, loss: Tensor) -> Checked:
        """The gradient of loss ()."""
        self.gradient.zero_()
        loss.backward()
        return checked(self.gradient, loss, self.sound, self.longest)

    def pace(self, rate: float) -> None:
        """Set the numbers of the next step: `rate` times the learning rate, and its share in the average."""
        for group, base in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = _set(group["lr"], base * rate)
        if self.ema is not None:
            decay = min(self.ema, (1 + self.steps) / (10 + self.steps))  # early weights are soon forgotten
            self.share = _set(self.share, 1 - decay)

    def rest(self) -> None:
        """Freeze this player: later steps of the batch leave its weights, average and `good` unchanged.

        Only for a run that has ended and been saved, because its optimizer state is not preserved.
        """
        self.sound.fill_(False)
        self.share = _set(self.share, 0.0)

    def descend(self, slope: Checked) -> None:
        """Let the optimizer move along a gradient, as `pace` has set it.

        From the first non-finite loss, gradient or weight on, weights stay as they were before it and
        `good` counts no further. Nothing here waits for the device; if `capturable`, all can be captured.
        """
        weights = self.weights.detach()
        before = weights.clone()
        self.weights.grad = slope.gradient
        self._step()
        good = slope.good & (torch.linalg.vector_norm(weights) < torch.inf)
        weights.copy_(torch.where(good, weights, before))  # momentum moves them even without a gradient
        if self.ema is not None:
            self.average.lerp_(weights, self.share)
        self.grad_norm = slope.norm
        self.sound.copy_(good)
        self.good += good

    def diverged_at(self) -> int | None:
        """The first bad step, counted from 0, or None; waits for the device."""
        good = int(self.good)
        return good if good < self.steps else None

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While the context is open, the net has its average weights, if it keeps any, and dropout is off."""
        weights = self.weights.detach()
        live = weights.clone()
        if self.ema is not None:
            weights.copy_(self.average)
        self.net.eval()
        try:
            yield
        finally:
            self.net.train()
            weights.copy_(live)

    def state(self) -> Tensors:
        """All there is to save, by name: `weights.*`, `average.*` (as the net names them), `optimizer.*`."""
        tensors = {f"weights.{name}": value.clone() for name, value in self.net.state_dict().items()}
        with self.averaged():
            tensors |= {f"average.{name}": value.clone() for name, value in self.net.state_dict().items()}
        slots = _slots(self.optimizer, self.weights)
        tensors |= {f"optimizer.{name}": value.clone() for name, value in slots.items()}
        return tensors | {"good": self.good.clone(), "steps": torch.tensor(self.steps)}

    def restore(self, tensors: Tensors) -> None:
        """Take back what `state` gave.

        Raises: ValueError if it isn't what this player could have given; then all is as it was.
        """
        self._check(tensors)
        if self.ema is not None:
            self.net.load_state_dict(within(tensors, "average."))
            self.average.copy_(self.weights.detach())
        self.net.load_state_dict(within(tensors, "weights."))
        device = self.weights.device
        slots = within(tensors, "optimizer.")
        self.optimizer.state.clear()
        if slots:
            self.optimizer.state[self.weights] = {k: v.to(device).clone() for k, v in slots.items()}
        self.good = tensors["good"].to(device).clone()
        self.steps = int(tensors["steps"])
        self.sound.copy_(self.good == self.steps)

    def _check(self, tensors: Tensors) -> None:
        slots = within(tensors, "optimizer.")
        net = {f"{part}.{k}": v for part in ("weights", "average") for k, v in self.net.state_dict().items()}
        own = {name: value for name, value in tensors.items() if not name.startswith("optimizer.")}
        alike(own, net | {"good": self.good, "steps": torch.tensor(0)})
        steps = within_range("steps", int(tensors["steps"]))
        within_range("good", int(tensors["good"]), most=steps)
        alike(*({f"optimizer.{k}": v for k, v in each.items()} for each in (slots, self._slots_after(steps))))
        if "step" in slots and _of_torch(self.optimizer):  # which divides by what follows from it
            least, step = min(steps, 1), float(slots["step"])
            if not least <= step <= steps:
                raise ValueError(f"optimizer.step is {step:g}, expected {least} to {steps}")

    def _slots_after(self, steps: int) -> Tensors:
        """What the optimizer would hold after so many steps: found on zeros, for each kind has its own."""
        zeros = nn.Parameter(torch.zeros_like(self.weights))
        optimizer = optimizer_of(zeros, self._build)
        if steps:
            zeros.grad = torch.zeros_like(zeros)
            stepper(optimizer)()
        return _slots(optimizer, zeros)

    def move(self, weights: Tensor, sound: Tensor) -> None:
        """Keep weights and flag in these tensors from now on, such as rows of what members share."""
        weights.copy_(self.weights.detach())
        self.weights.data, self.sound = weights, sound.copy_(self.sound)
        _bind(list(trained(self.net).values()), self.weights.data, self.gradient)


def _slots(optimizer: Optimizer, weights: nn.Parameter) -> Tensors:
    """What an optimizer keeps of one vector, by name."""
    return {name: torch.as_tensor(value) for name, value in optimizer.state.get(weights, {}).items()}


def _of_torch(optimizer: Optimizer) -> bool:
    return type(optimizer).__module__.startswith("torch.optim.")


def _capturable(group: Mapping[str, object]) -> bool:
    """Whether an optimizer can be captured and read its rate from the device: its for-loop version can't."""
    return "capturable" in group and (group.get("foreach") is not False or bool(group.get("fused")))


def _set(old: float | Tensor, new: float) -> float | Tensor:
    return old.fill_(new) if isinstance(old, Tensor) else new


def within(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def fill(net: nn.Module, weights: Tensors) -> None:
    """Load weights of the same names and shapes, and take on their precision.

    Raises: UserError if they don't fit, naming the first that differs.
    """
    here = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in weights.items()}
    differ = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    if differ:
        name = differ[0]
        raise UserError(
            f"the saved weights don't fit this model: {name} has shape {there.get(name, 'none')} there "
            f"and {here.get(name, 'none')} here ({len(differ)} differ)"
        )
    net.to(next(value.dtype for value in weights.values() if value.is_floating_point()))
    net.load_state_dict(weights)


def trained(net: nn.Module) -> dict[str, nn.Parameter]:
    """A net's parameters in the order in which they lie in the flat vector, by name."""
    return {name: p for name, p in net.named_parameters() if p.requires_grad}


def _flatten(net: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Move a net's parameters, and their gradients, into one vector each."""
    parameters = list(trained(net).values())
    weights = torch.cat([p.detach().flatten() for p in parameters])
    gradient = torch.zeros_like(weights)
    _bind(parameters, weights, gradient)
    return nn.Parameter(weights), gradient


def _bind(parameters: Sequence[nn.Parameter], weights: Tensor, gradient: Tensor) -> None:
    """Make parameters, and their gradients, views of flat vectors."""
    sizes = [p.numel() for p in parameters]
    for p, data, grad in zip(parameters, weights.split(sizes), gradient.split(sizes), strict=True):
        p.data, p.grad = data.view_as(p), grad.view_as(p)
