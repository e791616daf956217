"""A ladder on a serving engine: one gamma tells of the others, and the figure shows both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.calibrate.library.own import ServedCampaign
from howspec.calibrate.records import Record
from howspec.calibrate.serving import Served
from howspec.calibrate.serving.laws import between_starts, served_costs, step_draws
from howspec.figures.validation.served import (
    served_ladder,
    served_points,
    served_test,
    share_ticks,
)

ALPHA = {"large": 0.8, "small": 0.5}
COST = {"large": 0.3, "small": 0.05}
STEP_S, OVERHEAD, VERIFY, TOKENS = 0.02, 0.2, 0.03, 256


def wave(draft: str | None, gamma: int, batch: int, number: int) -> dict[str, Any]:
    """Rounds of an affine cost and of independent acceptance; all requests of a wave alike."""
    rng = np.random.default_rng([gamma, batch, number, len(draft or "")])
    of_round = STEP_S * (1.0 + OVERHEAD + gamma * (VERIFY + COST[draft])) if draft else STEP_S
    rows: dict[str, list[Any]] = {"arrivals": [], "arrivals_s": [], "arrived": []}
    rounds, places = 0, np.zeros(gamma, dtype=int)
    for _ in range(batch):
        at, tokens = [0.01], [1]
        while tokens[-1] < TOKENS:
            kept = int((rng.random(gamma) < ALPHA[draft]).cumprod().sum()) if draft else 0
            places[:kept] += 1
            rounds += 1
            at.append(at[-1] + of_round * (1.0 + 0.01 * rng.standard_normal()))
            tokens.append(min(tokens[-1] + 1 + kept, TOKENS))
        rows["arrivals"].append(len(at))
        rows["arrivals_s"] += at
        rows["arrived"] += tokens
    return {
        "draft": draft, "method": "draft" if draft else "plain", "gamma": gamma, "batch": batch,
        "wave": number, "prompts": list(range(batch)), "tokens": [TOKENS] * batch,
        "prompt_tokens": [20] * batch, "start_s": [0.0] * batch, **rows,
        "rounds": rounds, "drafted": rounds * gamma, "accepted": int(places.sum()),
        "accepted_by_position": places.tolist() if draft else None,
        "counted_tokens": TOKENS * batch,
    }  # fmt: skip


@pytest.fixture(scope="module")
def campaign() -> ServedCampaign:
    what = [(None, 0), *((d, g) for d in ALPHA for g in (1, 2, 3, 5, 8))]
    points = tuple(wave(d, g, b, n) for d, g in what for b in (1, 4) for n in range(8 // b))
    told = {"models": {"target": {}}, "server": {"engine": "llama.cpp", "version": "b1"}}
    models = [
        {"name": n, "role": r, "parameters": p, "layers": 2}
        for n, r, p in (
            ("target", "target", 1e8),
            ("large", "ladder", 3e7),
            ("small", "ladder", 1e6),
        )
    ]
    return ServedCampaign("toy", Record("serving", {}, told, points), {"models": models})


def test_one_gamma_and_plain_decoding_tell_of_the_others(campaign: ServedCampaign) -> None:
    served = Served((campaign.record,))
    assert served.drafts == ("large", "small")
    found = served_test(served)
    assert len(found.points) == 2 * 2 * 4
    assert found.summary()["mean_abs_error"] < 0.06
    assert found.coverage is not None
    assert found.coverage >= 0.8
    assert len(found.regret) == 4
    assert max(found.regret) < 0.05
    exact = (1 - 0.5**3) / 0.5 / (1 + 0.2 + 2 * 0.08)
    small = [p for p in served_points(served) if (p.draft, p.gamma) == ("small", 2)]
    assert [p.measured for p in small] == pytest.approx([exact, exact], rel=0.1)


def test_what_is_given_is_not_among_the_points(campaign: ServedCampaign) -> None:
    served = Served((campaign.record,))
    others = served.only(lambda what: what.gamma in (0, 3))
    assert served_test(others).points == ()
    assert all(p.given for p in served_points(others))
    assert not served_points(served.only(lambda what: what.gamma != 3))


def on(record: Record, device: str) -> Served:
    told = {**record.provenance, "device": device, "cpu": "EPYC"}
    return Served((Record(record.kind, record.settings, told, record.points),))


def test_what_starts_of_a_server_differ_by_is_measured_where_there_were_several(
    campaign: ServedCampaign,
) -> None:
    one_start = {d: between_starts(on(campaign.record, d)) for d in ("H100", "EPYC")}
    assert one_start == pytest.approx({"H100": 0.02, "EPYC": 0.1})
    points = []
    for start, factor in enumerate((0.8, 0.9, 1.0, 1.1, 1.25)):
        for n in range(4):
            own = wave(None, 0, 1, 4 * start + n)
            times = [factor * t for t in own["arrivals_s"]]
            points.append({**own, "arrivals_s": times, "start": start})
    several = Record("serving", {}, campaign.record.provenance, tuple(points))
    spread = float(np.std(np.log([0.8, 0.9, 1.0, 1.1, 1.25]), ddof=1))
    expected = np.sqrt((2 * 0.02**2 + 4 * spread**2) / (2 + 4))
    assert between_starts(on(several, "H100")) == pytest.approx(expected, rel=0.02)
    records = tuple(
        Record("serving", {}, campaign.record.provenance,
               tuple({k: v for k, v in p.items() if k != "start"}
                     for p in points if p["start"] == start))
        for start in range(5)
    )  # fmt: skip
    assert between_starts(Served(records)) == pytest.approx(expected, rel=0.02)


def test_what_waves_of_a_start_differ_by_is_not_taken_for_starts() -> None:
    points = []
    for number in range(10):
        own = wave(None, 0, 1, 0)
        times = [(0.8, 1.25)[number % 2] * t for t in own["arrivals_s"]]
        points.append({**own, "wave": number, "arrivals_s": times, "start": number // 2})
    served = Served((Record("serving", {}, {"models": {"target": {}}}, tuple(points)),))
    assert between_starts(served) == pytest.approx(0.02 * np.sqrt(2 / (2 + 4)))
    alike = served.plain()[1][::2]
    several = step_draws(alike, 0.1, np.random.default_rng(0), 8000)
    assert np.std(np.log(several)) == pytest.approx(0.1 / np.sqrt(5), rel=0.05)


def test_a_prediction_carries_the_start_that_its_user_makes(campaign: ServedCampaign) -> None:
    few = campaign.record.points[:8] + tuple(
        p for p in campaign.record.points if (p["draft"], p["gamma"]) == ("small", 3)
    )
    record = Record("serving", {}, campaign.record.provenance, few)
    for device, between in (("H100", 0.02), ("EPYC", 0.1)):
        law = served_costs(on(record, device), np.random.default_rng(0), draws=8000).law
        times = np.log(law.round_time(3))
        assert np.std(times[:, 0]) == pytest.approx(between, abs=0.3 * between)
        # Of plain decoding, of the measured draft, and of the one to come.
        ratio = np.std(times[:, 3] - times[:, 0])
        assert ratio == pytest.approx(np.sqrt(3.0) * between, abs=0.3 * between)


def test_the_figure_shows_every_draft_and_the_size(
    campaign: ServedCampaign, tmp_path: Path
) -> None:
    paths = {p.name for p in served_ladder(campaign, tmp_path)}
    assert {"toy_served.pdf", "toy_served.png", "toy_served.csv"} <= paths
    rows = (tmp_path / "toy_served.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2 * 5


def test_shares_are_labelled_as_parts_of_the_target_and_do_not_touch() -> None:
    places, labels = share_ticks([1.0, 1 / 8.1, 1 / 7.9, 1 / 20, 1 / 48])
    assert places == [1 / 48, 1 / 20, 1 / 8.1, 1.0]
    assert labels == ["1/48", "1/20", "1/8.1", "1"]
