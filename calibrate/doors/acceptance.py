"""Acceptance from whatever is known of it; predicted for a named pair where nothing is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...theory import AcceptanceLaw, DepthAcceptance
from ...theory.acceptance import PositionalAcceptance
from ...theory.acceptance.positional import damped
from ...theory.domain import Floats, check
from ..known import SHOWN, KnownAcceptance, pooled
from ..pair import Pair

if TYPE_CHECKING:  # readers and priors are imported where a source needs them
    from ..engines import EngineCounts
    from ..prior.acceptance_forecast import AcceptanceForecast
    from ..records import Record
    from ..serving.served import Served
    from ..stated import Stated

    AcceptanceSource = (
        float | str | Path | Stated | AcceptanceLaw | EngineCounts | Record | Served
        | KnownAcceptance | None
    )  # fmt: skip

_NUMBER = re.compile(r"\s*[+-]?[\d.]+(?:e[+-]?\d+)?\s*(?:%|±|\+/?-|$)", re.IGNORECASE)
_LAW = re.compile(r"[a-z]+(?:-[a-z]+)*(?::.*)?")  # a name and its parameters, as of no file


def acceptance(
    source: AcceptanceSource = None,
    *,
    rng: np.random.Generator,
    pair: Pair | None = None,
    length: str | float | None = None,
    gamma: int | None = None,
    tokens: float | None = None,
    decay: float = 1.0,
    positions: int = 32,
    dtype: str = "",
    draws: int = 2000,
) -> KnownAcceptance:
    """What is known of acceptance.

    source: a number, the conditional rate alpha in [0, 1] (a float counts as exact, a text such as
    "0.78" or "0.78+-0.02" has the accuracy that it states); the text of a law such as
    "depth:alpha=0.8,decay=0.95"; a law; the path of a record, of a folder of records of
    servers, of an engine's log, response or metrics, "-", or a URL; counts or a record that was
    read; None: predicted for the pair.
    length: an acceptance length with the bonus token, instead of a source, measured at gamma.
    gamma: draft tokens of the measured rounds, where the source leaves it open. tokens: decided
    draft tokens behind a stated alpha, which then updates the prediction for the pair. decay:
    factor of a stated alpha from one position to the next. positions: that the law must cover;
    dtype: of the target's weights, where known better than by its name; draws: of the sample.
    Raises ValueError for what determines no acceptance, OSError for what cannot be read.
    """
    number = _is_number(source)
    _check(source, number, length=length, gamma=gamma, tokens=tokens, decay=decay)
    if isinstance(source, KnownAcceptance):
        return source
    if length is not None:
        from ..evidence import from_length

        assert gamma is not None
        growth = _growth(pair, rng, draws)
        return from_length(length, gamma, rng, positions=positions, draws=draws, growth=growth)
    if source is None or tokens is not None:
        return _predicted(pair, source, tokens, rng, positions, dtype, draws)
    if isinstance(source, bool):
        raise ValueError(f"acceptance must be a number, a law, a path or a URL, got {source}")
    if isinstance(source, int | float):
        return _exact(float(source), decay, draws)
    if number:
        from ..evidence import from_alpha
        from ..stated import Stated, stated

        assert isinstance(source, str | Stated)
        rate = stated(source, "alpha")
        check("alpha", rate.value)
        return from_alpha(rate, rng, decay=decay, gamma=gamma, positions=positions, draws=draws)
    if isinstance(source, str) and not _live(source) and _is_law(source):
        from .written import acceptance_law

        source = acceptance_law(source)
    if isinstance(source, AcceptanceLaw):
        covered = np.shape(source.rates)[-1] if isinstance(source, PositionalAcceptance) else SHOWN
        alpha = np.resize(pooled(source, min(SHOWN, covered)), draws)
        return KnownAcceptance(source, "stated", f"law {type(source).__name__} as stated", alpha)
    return _of_file(source, pair, rng, gamma, positions, draws)


def _growth(pair: Pair | None, rng: np.random.Generator, draws: int) -> Floats | None:
    """How rejection of the named head grows with depth, None for a draft that is no head."""
    if pair is None or pair.head is None:
        return None
    from ..models.drafters import DRAFTERS

    if not DRAFTERS[pair.head].is_head:
        return None
    from ..prior.heads import head_depth

    target = "" if pair.target is None else pair.target.called
    return head_depth(pair.head, rng, draws, target=target, unseen=pair.at.unseen)


def _live(source: object) -> bool:
    """Whether a source is a URL or standard input, and no path."""
    return isinstance(source, str) and (source == "-" or source.startswith(("http://", "https://")))


def _is_law(source: str) -> bool:
    """Whether a text that names no file is written as a law is."""
    return _LAW.fullmatch(source) is not None and not Path(source).exists()


def _is_number(source: AcceptanceSource) -> bool:
    """Whether a source states a rate: a number, or a text that is one."""
    if isinstance(source, str):
        return _NUMBER.match(source) is not None
    return isinstance(source, int | float) or type(source).__name__ == "Stated"


def _check(
    source: AcceptanceSource,
    number: bool,
    *,
    length: str | float | None,
    gamma: int | None,
    tokens: float | None,
    decay: float,
) -> None:
    """Say what contradicts, before anything is read."""
    if length is not None and source is not None:
        raise ValueError("acceptance comes from a source or from acceptance_length, got both")
    if length is not None and gamma is None:
        raise ValueError("acceptance_length needs gamma, the draft tokens it was measured at")
    if tokens is not None and not number:
        raise ValueError("alpha_tokens goes with a number as acceptance, got none")
    if decay != 1.0 and (not number or tokens is not None):
        raise ValueError("decay goes with a number as acceptance, without alpha_tokens")


def _exact(alpha: float, decay: float, draws: int) -> KnownAcceptance:
    law = DepthAcceptance(alpha, decay)
    given = f"alpha {alpha:g} as stated, without an error"
    return KnownAcceptance(law, "stated", given, np.full(draws, alpha))


def _of_file(
    source: str | Path | Record | Served | EngineCounts | Stated,
    pair: Pair | None,
    rng: np.random.Generator,
    gamma: int | None,
    positions: int,
    draws: int,
) -> KnownAcceptance:
    """A record of rounds, or statistics of an engine, read or to be read."""
    from ..engines import EngineCounts
    from ..engines.laws import from_record, from_statistics
    from ..engines.load import read_statistics
    from ..models.names import squeeze
    from ..records import Record, is_record, read_record

    asked = None if pair is None else pair.at.draft
    if (served := served_behind(source)) is not None:
        from ..serving.laws import served_acceptance

        return served_acceptance(served, rng, draft=asked, positions=positions, draws=draws)
    if isinstance(source, str | Path):
        known = not _live(source) and (Path(source).is_dir() or is_record(Path(source)))
        source = (
            read_record(source, "acceptance") if known else read_statistics(source, gamma=gamma)
        )
    if isinstance(source, EngineCounts):
        counts = source
        return from_statistics(counts, rng, gamma=gamma, positions=positions, draws=draws)
    if not isinstance(source, Record):
        raise ValueError(f"acceptance must be a number, a law, a path or a URL, got {source!r}")
    names = sorted({str(p["draft"]) for p in source.points if p.get("type") == "rounds"})
    near = [n for n in names if asked is not None and squeeze(n) == squeeze(asked)]
    chosen = near[0] if near else (asked if pair is None or pair.draft is None else None)
    at = None if pair is None else pair.at
    return from_record(
        source, rng, draft=chosen, positions=positions, draws=draws,
        temperature=None if at is None else at.temperature, domain=None if at is None else at.task,
    )  # fmt: skip


def served_behind(source: object) -> Served | None:
    """The records of servers that a source is, or that lie in its file or folder."""
    from ..records import Record
    from ..serving.served import Served, served_of

    if _live(source):
        return None
    return served_of(source) if isinstance(source, str | Path | Record | Served) else None


def _predicted(
    pair: Pair | None,
    alpha: AcceptanceSource,
    tokens: float | None,
    rng: np.random.Generator,
    positions: int,
    dtype: str,
    draws: int,
) -> KnownAcceptance:
    """The forecast for a pair, after a rate that was seen over so many tokens where one was."""
    if pair is None:
        raise ValueError("acceptance needs a source, or target and draft to predict it, got none")
    pair.at.needs("to predict acceptance", "target", "draft", instead="acceptance")
    target, draft = pair.models
    if pair.head is not None:
        from ..prior.heads import expected_head

        if tokens is not None:
            raise ValueError(
                f"alpha_tokens goes with draft models, got the {pair.head} head of one"
            )
        return expected_head(
            pair.head, target.called, rng, task=pair.at.task, temperature=pair.at.temperature,
            context=pair.at.context, positions=positions, draws=draws, unseen=pair.at.unseen,
            draft=draft,
        )  # fmt: skip
    from ..prior.acceptance import expected_acceptance

    form = dtype or pair.at.dtype
    forecast = expected_acceptance(
        target, [draft], use=pair.use, dtype=form, draft_dtype=pair.at.draft_dtype, rng=rng,
        draws=draws,
    ).of(0)  # fmt: skip
    if tokens is None:
        return of_forecast(forecast, positions=positions)
    from ..stated import Stated, stated

    assert isinstance(alpha, int | float | str | Stated)
    return _updated(forecast, stated(alpha, "alpha").value, tokens, rng, positions)


def of_forecast(forecast: AcceptanceForecast, *, positions: int = 32) -> KnownAcceptance:
    """The forecast of one draft as it is; positions: that the law covers."""
    law = damped(forecast.law, positions)
    given = "published and own pairs"
    return KnownAcceptance(law, "predicted", given, forecast.alpha, notes=forecast.notes)


def _updated(
    forecast: AcceptanceForecast,
    alpha: float,
    tokens: float,
    rng: np.random.Generator,
    positions: int,
) -> KnownAcceptance:
    """The forecast after a rate over so many decided tokens; prompts differ, so fewer count."""
    from ..prior.acceptance_forecast import update
    from ..prior.acceptance_model import DESIGN_EFFECT

    check("alpha", alpha)
    if not (np.isfinite(tokens) and tokens > 0.0):
        raise ValueError(f"alpha_tokens must be in (0, inf), got {tokens:g}")
    found = update(forecast, tokens, alpha * tokens, rng=rng, dispersion=DESIGN_EFFECT)
    given = f"alpha {alpha:g} over {tokens:g} draft tokens, on top of published and own pairs"
    law = damped(found.law, positions)
    return KnownAcceptance(law, "stated", given, found.alpha, notes=forecast.notes)
