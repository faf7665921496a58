"""A training run: everything that has state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from flows.core import Batch, Spec
from flows.lattice import dequantise
from flows.objectives import Objective
from flows.objectives.objective import Noise
from flows.training.capture import Captured
from flows.training.checkpoint import Checkpoint
from flows.training.fitting import alike, check_facts, within_range
from flows.training.fusing import fused
from flows.training.gradient import Gradient, LossInputs, gradient, loss_inputs
from flows.training.guard import Checked
from flows.training.jitter import Jitter
from flows.training.player import Player, Tensors, within
from flows.training.stream import Stream
from flows.wording import show


class Best(NamedTuple):
    """The best validation so far."""

    score: float = math.inf
    step: int = 0
    misses: int = 0  # validations since


@final
class Run:
    """Everything of a training run that has state: save it, restore it, and the rest of the run is the same.

    A turn is one update of one player; a step is one cycle of turns, so that likelihood training has one
    turn a step and a GAN several.

    Args:
        objective: What is minimised.
        players: The nets that are trained, by name.
        stream: Where batches come from.
        generator: Draws the objective's noise, and what spreads a lattice; on the players' device.
        spec: What the examples are; None for no lattice.
        jitter: Noise on what is trained on; None for none.
    """

    def __init__(
        self,
        objective: Objective,
        players: dict[str, Player],
        stream: Stream,
        generator: torch.Generator,
        spec: Spec | None = None,
        jitter: Jitter | None = None,
    ) -> None:
        self.objective = objective
        self.players = players
        self.stream = stream
        self.generator = generator
        self.spec = spec
        self.jitter = jitter
        self.turn = 0
        self.seen = 0  # the last step after which all that was due has been done
        self.steps = 0  # the budget, fixed once by the trainer
        self.best = Best()
        self.compiled = False
        self.moves = False  # whether a fused gradient moves its player too
        self.fused: dict[str, Gradient] = {}
        self._dropout: Tensor | None = None  # where it stood when this run was restored
        self._inputs: LossInputs | None = None  # of fused gradients
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @property
    def nets(self) -> Mapping[str, nn.Module]:
        return {name: player.net for name, player in self.players.items()}

    @property
    def drops(self) -> bool:
        """Whether a net has dropout, which draws from the process's generator."""
        inner = (module for net in self.nets.values() for module in net.modules())
        return any(isinstance(module, nn.Dropout) and module.p > 0 for module in inner)

    @property
    def step(self) -> int:
        """Whole steps done."""
        return self.turn // len(self.objective.cycle)

    @property
    def player(self) -> str:
        """Whose turn it is."""
        return self.objective.cycle[self.turn % len(self.objective.cycle)]

    def prepare(self) -> tuple[Batch, Noise]:
        """What the next turn needs: a batch, and what its objective draws."""
        batch = self.draw()
        return batch, self.objective.noise(self.player, self.nets, batch, self.generator)

    def backward(self, batch: Batch, noise: Noise) -> tuple[Checked, Mapping[str, Tensor]]:
        """The gradient of the player whose turn it is, and what it logs; it has moved already if `moves`."""
        if self._inputs is not None:
            given = {name: value for name, value in batch._asdict().items() if value is not None}
            return self.fused[self.player](self._inputs, given, noise)
        loss, logs = self.objective.loss(self.player, self.nets, batch, noise)
        return self.players[self.player].backward(loss), logs

    def fuse(self, compiled: bool, captured: bool) -> None:
        """From now on compute gradients by pure functions, one a player, which their first calls make faster.

        Args:
            compiled: Whether each is compiled.
            captured: Whether its kernels are recorded and replayed, on a GPU; the move along it too, if the
                optimizer can.
        """
        self.compiled = compiled
        self.moves = captured and all(player.capturable for player in self.players.values())
        self._inputs = loss_inputs(self.players)
        for name in {*self.objective.cycle}:
            each = gradient(self.objective, name, self.nets)
            then = partial(self.descend, name) if self.moves else None
            self.fused[name] = fused(each, self.nets, compiled, captured, then)

    def draw(self) -> Batch:
        """The next batch, spread over its lattice and jittered afresh each time, whatever the objective."""
        batch = self.spread(next(self.stream), self.generator)
        return batch if self.jitter is None else batch._replace(x=self.jitter(batch.x, self.generator))

    def spread(self, batch: Batch, generator: torch.Generator) -> Batch:
        """A batch as a density sees it: points of a lattice spread over their cells."""
        if self.spec is None:
            return batch
        return batch._replace(x=dequantise(batch.x, self.spec, generator))

    def descend(self, player: str, slope: Checked, logs: Mapping[str, Tensor]) -> None:
        """Move a player along its gradient, and add what it logs to sums; nothing waits for the device."""
        self.players[player].descend(slope)
        for name, value in logs.items():
            if name not in self._sums:
                self._sums[name] = torch.zeros_like(value)
            self._sums[name].add_(value.detach())

    def end_turn(self, slope: Checked, logs: Mapping[str, Tensor]) -> None:
        """Move the player whose turn it is, unless its gradient has, and count."""
        if not self.moves:
            self.descend(self.player, slope, logs)
        for name in logs:
            self._counts[name] = self._counts.get(name, 0) + 1
        self.players[self.player].steps += 1
        self.turn += 1

    def means(self) -> dict[str, float]:
        """Means of what was logged since the last call."""
        means = {name: self._sums[name].item() / count for name, count in self._counts.items()}
        for total in self._sums.values():
            total.zero_()
        self._counts = {}
        return means

    def diverged_at(self) -> int | None:
        """The step of the first non-finite loss or gradient, or None."""
        bad = {name: player.diverged_at() for name, player in self.players.items()}
        turns = {name: self.objective.cycle.count(name) for name in bad}
        return min((at // turns[name] for name, at in bad.items() if at is not None), default=None)

    def judge(self, score: float, counts: bool = True) -> bool:
        """Note a validation score; whether it is the best yet (one that isn't finite never is).

        If it isn't, it is one miss more, unless it doesn't count.
        """
        better = math.isfinite(score) and score < self.best.score
        self.best = Best(score, self.step) if better else self.best._replace(misses=self.best.misses + counts)
        return better

    def state(self) -> Checkpoint:
        """All there is to save."""
        own = {f"stream.{name}": value for name, value in self.stream.state().items()}
        own |= {f"sums.{name}": self._sums[name].clone() for name in self._counts}
        own |= {f"grad_norm.{name}": player.grad_norm.clone() for name, player in self.players.items()}
        own["generator"] = self.generator.get_state()
        if self.drops:
            own["dropout"] = _process_generator(self.generator.device).get_state()
        tensors = {name: player.state() for name, player in self.players.items()} | {"run": own}
        facts = {
            "turn": self.turn,
            "seen": self.seen,
            "steps": self.steps,
            "best": self.best._asdict() | {"score": self.best.score if self.best.step else None},
            "counts": dict(self._counts),
            "device": self.generator.device.type,
        }
        return Checkpoint(tensors, facts)

    def restore(self, saved: Checkpoint) -> None:
        """Take back what `state` gave; on another kind of device the noise starts anew.

        Raises: ValueError if it isn't what this run could have given, naming the first thing that isn't.
        """
        self._check(saved)
        facts, own = saved.state, saved.tensors["run"]
        for name, player in self.players.items():
            self._restore(name, saved.tensors[name], facts["turn"])
            player.grad_norm = own.get(f"grad_norm.{name}", player.grad_norm).to(self.generator.device)
        self.stream.restore(within(own, "stream."))
        if facts["device"] == self.generator.device.type:
            self.generator.set_state(own["generator"])
            self._dropout = own["dropout"] if self.drops else None
            self.resume_dropout()
        else:
            self.generator.manual_seed(self.generator.initial_seed() + facts["turn"])
            torch.manual_seed(self.generator.initial_seed())
        self.turn, self.steps = facts["turn"], facts["steps"]
        self.seen = facts.get("seen", self.step)
        best = facts["best"]
        self.best = Best(math.inf if best["score"] is None else best["score"], best["step"], best["misses"])
        self._sums = {name: value.to(self.generator.device) for name, value in within(own, "sums.").items()}
        self._counts = dict(facts["counts"])
        for each in self.fused.values():
            if isinstance(each, Captured):
                each.forget()  # tensors have moved

    def _restore(self, name: str, tensors: Tensors, turn: int) -> None:
        cycle, player = self.objective.cycle, self.players[name]
        steps, rest = divmod(turn, len(cycle))
        done = steps * cycle.count(name) + cycle[:rest].count(name)
        try:
            player.restore(tensors)
            within_range("steps", player.steps, done, done)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _check(self, saved: Checkpoint) -> None:
        """See that all but what players hold, which they check, is what `state` could have given."""
        facts, cycle = saved.state, self.objective.cycle
        check_facts(facts, len(cycle))
        parts = [*self.players, "run"]
        if sorted(saved.tensors) != sorted(parts):
            raise ValueError(f"it holds {show(sorted(saved.tensors))} and not {show(sorted(parts))}")
        own = saved.tensors["run"]
        like = {f"stream.{name}": value for name, value in self.stream.state().items()}
        like |= {f"grad_norm.{name}": player.grad_norm for name, player in self.players.items()}
        random = {"generator": self.generator.get_state()}
        if self.drops:
            random["dropout"] = _process_generator(self.generator.device).get_state()
        if facts["device"] != self.generator.device.type:  # another's are of another size, and aren't taken
            random = {name: own.get(name, value) for name, value in random.items()}
        logs = self._logs() if facts["counts"] else {}
        sums = {f"sums.{name}": logs[name] for name in facts["counts"] if name in logs}
        older = {name for name in like if name.startswith("grad_norm.")}  # lack these
        alike(own, like | random | sums, spare=older)
        if len(sums) != len(facts["counts"]):
            raise ValueError(f"counts are of {show([*facts['counts']])}, and {show([*logs])} are logged")
        within_range("stream.taken", int(own["stream.taken"]), most=facts["turn"])

    @torch.no_grad()
    def _logs(self) -> dict[str, Tensor]:
        """What turns log, of some examples: nothing is drawn from the run's own generator."""
        generator = torch.Generator(self.generator.device).manual_seed(0)
        batch = self.spread(self.stream.source.take(slice(0, self.stream.batch_size)), generator)
        logs = {}
        for player in dict.fromkeys(self.objective.cycle):
            noise = self.objective.noise(player, self.nets, batch, generator)
            logs |= self.objective.loss(player, self.nets, batch, noise)[1]
        return logs

    def resume_dropout(self) -> None:
        """Have the process's generator stand where this run was restored, as another's may have since."""
        if self._dropout is not None:
            _process_generator(self.generator.device).set_state(self._dropout)


def _process_generator(device: torch.device) -> torch.Generator:
    """The one that dropout draws from: torch lets a net have no other."""
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.default_generator
