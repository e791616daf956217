"""A page to explore: the turning points in the draft's length and size, as sliders move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..parts import asked

if TYPE_CHECKING:
    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource
    from ..sim.known import Laws


@dataclass(frozen=True)
class Explorer:
    """A page that opens without a network. html: all of it; notes: what to know of it."""

    html: str
    notes: tuple[str, ...] = ()

    def write(self, path: str | Path) -> Path:
        """Write the page; raises OSError where that cannot be done."""
        from ..calibrate.files import atomic_write

        atomic_write(Path(path), self.html.encode())
        return Path(path)

    def __repr__(self) -> str:
        return f"<Explorer: a page of {len(self.html.encode()) / 1e3:.0f} kB>"


def explore(
    *,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    acceptance: AcceptanceSource = None,
    costs: CostSource = None,
    acceptance_length: str | float | None = None,
    gamma: int | None = None,
    alpha_tokens: float | None = None,
    decay: float = 1.0,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    task: str | None = None,
    temperature: float | None = None,
    batch: float = 1.0,
    context: float | None = None,
    dtype: str = "",
    stack: str | None = None,
    gamma_max: int | None = None,
    sweep: str | None = None,
    posterior: str | Path | Mapping[str, Sequence[float]] | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Explorer:
    """Make one HTML page with sliders: latency by gamma, by size of the draft, and over both.

    It begins with the answer to the question of the other arguments, as of `howspec.predict`; with
    the fit of the first pair of ``sweep``, a table of measurements that is shown beside the curves;
    or else with the paper's own pair. posterior: a table, or sequences, of draws of alpha, decay,
    cost_ratio, verify_slope, overhead (alpha and cost_ratio at least), two draws or more, which the
    page shows as bands; named pairs bring their own. Raises ValueError as `predict` does.

    >>> import howspec as hs
    >>> hs.explore(acceptance=0.8, costs=0.05).write("page.html")  # doctest: +SKIP
    """
    inputs = asked(locals(), explore)
    from ..calibrate.doors import Deployment
    from ..figures.explorer import beside, page
    from ..sim.known import Sources, check_gamma_max, check_seed
    from ..sim.laws import both_laws
    from ..sim.nearest import nearest, stated_draws
    from ..theory.interval import check_level

    check_level(level)
    check_seed(seed)
    given = Sources(
        acceptance, acceptance_length, gamma, alpha_tokens, decay, costs, verify_slope, overhead
    )
    at = Deployment(target, draft, device, dtype, "", stack, batch, context, task, temperature)
    question = given != Sources() or at != Deployment()
    if question and posterior is not None:
        raise ValueError("a posterior says what is known: no acceptance, costs or pair with it")
    drawn = None if posterior is None else stated_draws(posterior)
    laws = both_laws(at, given, gamma_max=gamma_max, seed=seed) if question else None
    measured = beside(sweep, seed=seed)
    about, sizes, shown = [_LADDER], None, 0 if sweep is not None else None
    if laws is not None:
        found = nearest(laws)
        middle, drawn, sizes = found.middle, found if found.draws else None, _sizes(laws)
        about.insert(0, _asked(inputs, laws, found.gap, seed))
        gamma_max = min(laws.gamma_max, MOST)
    elif drawn is not None:
        middle = drawn.middle
    else:
        shown = 0 if sweep is not None else _PAPER
        first = measured[shown]
        assert first.fit is not None
        middle, sizes = first.fit, first.sizes
        gamma_max = gamma_max or max(max(first.gamma) + 3, 8)
    top = min(check_gamma_max(gamma_max or 16), MOST)
    html = page(
        middle, gamma_max=max(top, 2), sizes=sizes, draws=drawn, level=level, measured=measured,
        shown=shown, about=about,
    )  # fmt: skip
    return Explorer(html, () if laws is None else laws.notes)


MOST = 32  # the largest gamma that the page draws
_PAPER = 2  # the paper's best draft, BLOOM-1.1B
_LADDER: tuple[str, Sequence[str]] = (
    "What is assumed",
    (
        "Alpha changes by one factor from one draft token to the next; a round costs "
        "1 + K (cost ratio + verify slope) + overhead, in plain steps of the target.",
        "Along the ladder of drafts rejection falls as a power of size above a floor, rounding "
        "adds rejection that falls with every bit, and a draft step costs a fixed part and its "
        "bytes. Unless the fit of measured drafts set it, the ladder begins with an exponent of "
        "0.25, a floor of a fifth of the rejection, and 0.3 of the draft step that size leaves "
        "alone; rounding to 4 bits adds a tenth of the rejection. These are assumed, not measured.",
        "Bands hold the distance of each draw to the middle while the sliders move.",
    ),
)


def _asked(
    inputs: Mapping[str, object], laws: Laws, gap: float, seed: int
) -> tuple[str, Sequence[str]]:
    """What was asked, and how near the five numbers of the page are to it."""
    words = ", ".join(f"{n}={v!r}" for n, v in inputs.items())
    kinds = f"acceptance {laws.acceptance.kind}, costs {laws.costs.kind}"
    near = f"within {100 * gap:.2g} % of" if gap >= 5e-5 else "exactly at"
    return (
        "What was asked",
        (
            f"Asked: howspec.explore({words}), seed {seed}; {kinds}.",
            f"The sliders begin nearest to what is known: {near} its mean speed-up at every K that "
            "is not slower by half.",
            *laws.notes,
        ),
    )


def _sizes(laws: Laws) -> tuple[float, float] | None:
    target, draft = laws.pair.target, laws.pair.draft
    if target is None or draft is None or not draft.parameters:
        return None
    return float(target.parameters), float(draft.parameters)
