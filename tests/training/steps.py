"""Runs whose steps are compiled, beside eager ones: python steps.py BACKEND KIND … Alone, and batched."""

import sys
from functools import partial
from pathlib import Path

import torch

CRITIC = (
    *("model=conditional_flow", "model.width=8", "model.layers=1", "dataset=grf", "dataset.height=8"),
    *("dataset.width=8", "dataset.n_val=8", "dataset.n_test=8", "trainer=wgan_gp", "trainer.batch_size=4"),
    *("trainer.objective.critic.depth=1", "trainer.objective.n_critic=2"),
)
MOONS = ("model.layers=2", "model.width=8", "trainer.batch_size=16", "dataset.n_train=64")
KINDS = {"moons": MOONS, "critic": CRITIC}


def main(backend: str, *kinds: str) -> None:
    import composed

    from flows.sweeps.together import Together

    torch.compile = partial(torch.compile, backend=backend)

    def start(seed: int):
        options = ("runtime.dtype=float64", "runtime.device=cpu", "run_dir=none", f"seed={seed}")
        session = composed.session(*KINDS[kind], *options)
        run = session.trainer.start(session.model, session.dataset, session.runtime, seed)
        run.steps = 100
        return session.trainer, run

    for kind in kinds:
        eager, compiled, batch = ([start(seed) for seed in range(2)] for _ in range(3))
        compiled[0][1].fuse(compiled=True, captured=False)
        for trainer, run in (*eager, *compiled):
            for _ in range(6):
                trainer.take_turn(run)
        together = Together([run for _, run in batch], compiled=True)
        for turn in range(6):
            rows = range(2) if turn < 3 else [1]  # the first ends, and keeps its row
            for row in rows:
                batch[row][0].pace(batch[row][1])
            for row, found in zip(rows, together.backward(rows), strict=True):
                batch[row][1].end_turn(*found)
        same(compiled[0][1], eager[0][1])
        same(batch[1][1], eager[1][1])
        assert batch[0][1].turn == 3
        print(kind)


def same(ours, theirs) -> None:
    for name, player in ours.players.items():
        torch.testing.assert_close(
            player.weights, theirs.players[name].weights, rtol=1e-9, atol=1e-12, msg=name
        )
        assert player.steps == theirs.players[name].steps > 0


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    main(*sys.argv[1:])
