"""Acceptance from a record of measured rounds, with the request as the unit of its uncertainty.

Rounds of one request are alike, so resampling requests gives wider, honest intervals where counts
added up over requests cannot.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...theory.acceptance import PositionalAcceptance
from ...theory.domain import Floats
from ..known import LARGEST_GAMMA, KnownAcceptance, around
from ..records import SCHEMA, Record
from .evidence import check_gamma, from_counts


def is_record(path: Path) -> bool:
    """Whether the file begins as a record does, gzipped or not."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return f'"{SCHEMA}"'.encode() in file.read(256)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False


def from_record(
    record: Record,
    rng: np.random.Generator,
    *,
    draft: str | None = None,
    temperature: float | None = None,
    domain: str | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Acceptance from the rounds of a record of kind "acceptance", by resampling its requests.

    draft: its name, needed where the record holds several; temperature: that of the rounds, or the
    nearest that the record has, which a note says; domain: one of the record's, any other counts as
    none. Without them requests of all temperatures and domains of that draft count alike, and a
    note says so. Raises ValueError without rounds.
    """
    if record.kind != "acceptance":
        raise ValueError(f"the record must be of kind acceptance, got {record.kind}")
    rounds = [p for p in record.points if p.get("type") == "rounds" and p.get("accepted")]
    names = sorted({p["draft"] for p in rounds})
    if draft is None and len(names) == 1:
        draft = names[0]
    if draft not in names:
        known = ", ".join(names) if names else "none with rounds"
        raise ValueError(f"draft must be one of those of the record ({known}), got {draft!r}")
    chosen, notes = _chosen([p for p in rounds if p["draft"] == draft], temperature, domain)
    tried, kept = _by_request(chosen)
    total = from_requests(
        tried, kept, rng, positions=positions, draws=draws,
        given=f"{len(chosen)} recorded requests with {draft}",
    )  # fmt: skip
    for key, plural in (("domain", "domains"), ("temperature", "temperatures")):
        values = sorted({str(p[key]) for p in chosen})
        if len(values) > 1:
            notes.append(f"requests of several {plural} count alike: {', '.join(values)}")
    if len(chosen) == 1:
        notes.append("a single request: its interval says nothing about others")
    return replace(total, notes=tuple(notes))


def from_requests(
    tried: Floats,
    kept: Floats,
    rng: np.random.Generator,
    *,
    positions: int,
    draws: int,
    given: str,
) -> KnownAcceptance:
    """Acceptance from how often each position was tried and accepted, (requests, positions) each.

    Requests are resampled; of a single one the rounds count as independent.
    """
    most = tried.shape[1]
    total = from_counts(
        tried.sum(axis=0), kept.sum(axis=0), rng, positions=positions, draws=draws, given=given
    )
    if len(tried) == 1:
        return replace(total, kind="measured")
    assert isinstance(total.law, PositionalAcceptance)
    assert total.middle is not None
    sample = np.array(total.law.rates)
    weights = rng.multinomial(len(tried), np.full(len(tried), 1.0 / len(tried)), size=draws)
    seen = weights @ tried
    # Positions that a resample never reaches keep the draw from all requests.
    share = np.divide(weights @ kept, seen, out=sample[:, :most].copy(), where=seen > 0.0)
    sample[:, :most] = share
    return around(total.middle, PositionalAcceptance(sample), "measured", given, most)


def _chosen(
    points: list[dict[str, Any]], temperature: float | None, domain: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """The points of a temperature and a domain where they are known, and what to say of it."""
    notes = []
    if temperature is not None:
        known = sorted({float(p["temperature"]) for p in points})
        nearest = min(known, key=lambda t: abs(t - temperature))
        points = [p for p in points if float(p["temperature"]) == nearest]
        if nearest != temperature:
            notes.append(f"no rounds at temperature {temperature:g}: those at {nearest:g} taken")
    same = [p for p in points if domain is not None and p["domain"] == domain.casefold()]
    return same or points, notes


def _by_request(points: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    """(tried, accepted) by position for each request, (requests, positions) each."""
    pairs = []
    for point in points:
        accepted = np.asarray(point["accepted"], dtype=np.int64)
        drafted = np.asarray(point.get("drafted"), dtype=np.float64)
        if drafted.shape not in ((), accepted.shape) or not np.isfinite(drafted).all():
            raise ValueError("drafted must be one number, or one a round, beside accepted")
        drafted = np.broadcast_to(drafted, accepted.shape).astype(np.int64)
        if (accepted > drafted).any():
            raise ValueError("accepted must be in [0, drafted] in every round of the record")
        pairs.append((accepted, drafted))
    most = check_gamma(min(max(int(d.max()) for _, d in pairs), LARGEST_GAMMA))
    at = np.arange(1, most + 1)
    tried, kept = np.zeros((len(pairs), most)), np.zeros((len(pairs), most))
    for i, (accepted, drafted) in enumerate(pairs):
        decided = accepted + (accepted < drafted)
        tried[i] = (decided[:, None] >= at).sum(axis=0)
        kept[i] = (accepted[:, None] >= at).sum(axis=0)
    return tried, kept
