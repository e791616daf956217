"""Training of one model by tokens: Muon for the matrices, AdamW for embeddings and norms.

The learning rate rises over the first 4 % of the tokens and falls in a line to zero at the last:
a schedule by tokens, so a run that was stopped and resumed is the run that was not.

A checkpoint is one file of torch with weights, the state of the optimizers and the position: one,
so that they cannot disagree; written whole or not at all, and read without running anything.

Muon: the momentum of a matrix, orthogonalised, as its update.

    W <- W - lr 0.2 sqrt(max(rows, columns)) orthogonal(G + m M)

with five steps of a Newton-Schulz iteration, matrices of one shape together. In float32 on a CPU,
where bfloat16 is slow (torch.optim.Muon always uses bfloat16), and in bfloat16 on an accelerator.
Source: Jordan et al. 2024, github.com/KellerJordan/Muon (iteration and coefficients); the factor
0.2 sqrt(max), which gives the update the size of an AdamW one: Liu et al. 2025, arXiv:2502.16982.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NoReturn

import torch

from ..files import replace_file
from .batches import Batches
from .record import same_settings
from .shapes import Preset, Shape

WARM_UP = 0.04
CHECKPOINT_S = 60.0
KEPT_LOSSES = 200

Report = Callable[[int, int, str], None]
# Losses of every prediction of some rows, (count, sequence), by model, rows and number of the first
Objective = Callable[[Any, torch.Tensor, int], torch.Tensor]


@dataclass
class Training:
    """A model in training, with all that a checkpoint keeps of it.

    objective: what is minimised, None for the loss of the tokens that follow.
    """

    shape: Shape
    preset: Preset
    model: Any
    device: torch.device
    settings: dict[str, Any]
    objective: Objective | None = None
    step: int = 0
    seconds: float = 0.0
    losses: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model.to(self.device).train()
        self.named = dict(self.model.named_parameters())
        matrices = {n: p for n, p in self.named.items() if p.ndim == 2 and "embed" not in n}
        self.muon = Muon(list(matrices.items()))
        others = [p for n, p in self.named.items() if n not in matrices]
        self.adamw = torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0)

    @property
    def steps(self) -> int:
        return -(-self.shape.tokens // self.step_tokens)

    @property
    def step_tokens(self) -> int:
        return self.shape.batch * self.preset.sequence

    @property
    def tokens(self) -> int:
        return self.step * self.step_tokens

    def learning_rate(self) -> float:
        done = (self.step + 1) / (self.steps + 1)
        return self.shape.learning_rate * min(done / WARM_UP, (1.0 - done) / (1.0 - WARM_UP))

    def advance(self, batches: Batches) -> float:
        """One step; its loss, in nats per token."""
        first = self.step * self.shape.batch
        rows = torch.from_numpy(batches.read(first, self.shape.batch))
        value = 0.0
        for part in torch.split(rows.to(self.device), self.preset.at_once):
            if self.objective is None:
                losses = token_losses(self.model, part, self.preset)
            else:
                losses = self.objective(self.model, part, first)
            first += len(part)
            loss = losses.mean() * (len(part) / len(rows))
            value += float(loss.detach())
            if not math.isfinite(value):
                self._stop_on(f"loss {value}")
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.named.values(), 1.0)
        rate = self.learning_rate()
        self.muon.step(rate)
        for group in self.adamw.param_groups:
            group["lr"] = rate
        self.adamw.step()
        self.model.zero_grad(set_to_none=True)
        self.step += 1
        return value

    def _stop_on(self, what: str) -> NoReturn:
        raise ValueError(
            f"{self.shape.name} has {what} at step {self.step + 1} of {self.steps}:"
            " training stopped, the last good checkpoint is kept"
        )

    def save(self, path: Path) -> None:
        """Write a checkpoint, unless weights are not finite: the last good one stays."""
        if not all(bool(p.isfinite().all()) for p in self.named.values()):
            self._stop_on("weights that are not finite")
        state = {name: getattr(self, name) for name in ("settings", "step", "seconds", "losses")}
        state |= {"weights": self.model.state_dict(), "muon": self.muon.state}
        state["adamw"] = self.adamw.state_dict()

        def write(place: Path) -> None:
            try:
                torch.save(state, place)
            except RuntimeError as error:  # of what writes the file
                raise OSError(f"a checkpoint: {error}") from None

        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, write)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint. Raises ValueError for a file that is none, or another's."""
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError):
            raise ValueError(
                f"the checkpoint {path.name} is damaged: delete it to train that model anew"
            ) from None
        same_settings(kept["settings"], self.settings, f"the checkpoint of {self.shape.name}")
        self.model.load_state_dict(kept["weights"])
        for name, momentum in self.muon.state.items():
            momentum.copy_(kept["muon"][name])
        self.adamw.load_state_dict(kept["adamw"])
        self.step, self.seconds, self.losses = (kept[n] for n in ("step", "seconds", "losses"))


def row_logits(model: Any, rows: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Logits behind every token of rows but the last; float32 whatever the precision."""
    reduced = preset.precision == "bfloat16"
    with torch.autocast(rows.device.type, dtype=torch.bfloat16, enabled=reduced):
        logits: torch.Tensor = model(input_ids=rows[:, :-1], use_cache=False).logits
    return logits.float()


def token_losses(model: Any, rows: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Loss of every prediction, (count, sequence), in nats."""
    flat = torch.nn.functional.cross_entropy(
        row_logits(model, rows, preset).flatten(0, 1), rows[:, 1:].flatten(), reduction="none"
    )
    return flat.view(rows.shape[0], -1)


def train_model(
    run: Training,
    *,
    batches: Batches,
    checkpoint: Path,
    report: Report,
    deadline_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Training | None:
    """Train a model from its checkpoint, if there is one; None if the deadline came first."""
    if checkpoint.exists():
        run.load(checkpoint)
    begun, before = clock(), run.seconds
    saved = begun
    # An interrupt inside a step leaves weights that no step count describes, so nothing is saved
    # then: the run goes on from its last checkpoint.
    while run.step < run.steps:
        value = run.advance(batches)
        now = clock()
        run.seconds = before + now - begun
        if run.step % max(1, run.steps // KEPT_LOSSES) == 0 or run.step == run.steps:
            run.losses.append([run.tokens, round(value, 5)])
        report(run.tokens, run.steps * run.step_tokens, f"{run.shape.name} loss {value:.3f}")
        if now >= deadline_s and run.step < run.steps:
            run.save(checkpoint)
            return None
        if now - saved >= CHECKPOINT_S:
            run.save(checkpoint)
            saved = now
    run.save(checkpoint)
    return run


_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrices: torch.Tensor, *, steps: int = 5) -> torch.Tensor:
    """Matrices (count, rows, columns) with all singular values brought near 1."""
    a, b, c = _COEFFICIENTS
    x = matrices if matrices.device.type == "cpu" else matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class Muon:
    """Muon over named matrices; the momenta are state, to be saved and loaded by name."""

    def __init__(
        self, matrices: Sequence[tuple[str, torch.Tensor]], *, momentum: float = 0.95
    ) -> None:
        self.momentum = momentum
        self.state = {name: torch.zeros_like(p) for name, p in matrices}
        shapes: dict[tuple[int, ...], list[tuple[str, torch.Tensor]]] = {}
        for name, p in matrices:
            shapes.setdefault(tuple(p.shape), []).append((name, p))
        self._groups = list(shapes.values())

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        for group in self._groups:
            pushed = []
            for name, p in group:
                assert p.grad is not None
                m = self.state[name]
                m.lerp_(p.grad, 1.0 - self.momentum)
                pushed.append(torch.lerp(p.grad, m, self.momentum))
            update = orthogonalised(torch.stack(pushed))
            size = 0.2 * max(update.shape[1:]) ** 0.5
            for (_, p), u in zip(group, update, strict=True):
                p.add_(u, alpha=-learning_rate * size)
