"""The paper's table at costs that were timed, as `howspec paper` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import print_table

if TYPE_CHECKING:
    from ..figures.paper_costs import PaperCostRow


def print_timed_rows(rows: tuple[PaperCostRow, ...], *, record: str) -> None:
    """Print the rows of one cost record; nothing where there are none."""
    if not rows:
        return
    print_table(
        ["row", "mode", "c", "V(K+1)/V(1)", "published", "speed-up, 90 %", "needed alpha"],
        [
            [
                f"{r.target} {r.method}: {r.draft} K={r.gamma}",
                r.mode,
                f"{r.cost_ratio:.3f}",
                f"{r.verify_ratio:.2f}",
                f"{r.published:.2f}",
                f"{r.speedup.estimate:.2f} [{r.speedup.low:.2f}, {r.speedup.high:.2f}]",
                "-" if r.needed_alpha is None else f"{r.needed_alpha:.2f}",
            ]
            for r in rows
        ],
        f"The paper's table at the costs of {record}: the paper's architectures, timed with random "
        "weights.\nneeded alpha: acceptance of every token with which the published speed-up would "
        "follow",
    )
    inside = sum(r.inside for r in rows)
    print(f"{inside} of {len(rows)} published speed-ups inside their 90 % interval\n")
