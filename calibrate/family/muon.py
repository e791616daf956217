r"""Muon: the momentum of a matrix, orthogonalised, as its update.

    W <- W - lr 0.2 sqrt(max(rows, columns)) orthogonal(G + m M)

with five steps of a Newton-Schulz iteration, matrices of one shape together. In float32 on a CPU,
where bfloat16 is slow (torch.optim.Muon always uses bfloat16), and in bfloat16 on an accelerator.
Source: Jordan et al. 2024, github.com/KellerJordan/Muon (iteration and coefficients); the factor
0.2 sqrt(max), which gives the update the size of an AdamW one: Liu et al. 2025, arXiv:2502.16982.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

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
