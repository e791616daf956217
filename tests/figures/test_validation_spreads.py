"""Intervals hold what they promise where the truth is known: spreads, realisation, rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from howspec.calibrate.learned import realisation, spreads, stated
from howspec.calibrate.learned import sweeps as learned_sweeps
from howspec.calibrate.learned.bundled import library_rows
from howspec.calibrate.learned.fit import bundled_sweeps, groups_of, pairs_of
from howspec.calibrate.learned.measured import GammaSweep, MeasuredRow
from howspec.calibrate.learned.realisation import Learned, expected_measurement
from howspec.calibrate.learned.spreads import (
    Mixture,
    Realised,
    conditioned,
    grouped,
    learned,
    log_likelihood,
    prior_of,
    stored,
)
from howspec.calibrate.learned.sweeps import forecast_gamma
from howspec.figures.validation import result as rivals
from howspec.figures.validation.sweeps import leave_one_gamma_out, stated_tests
from howspec.theory import DepthAcceptance, tokens_by_gamma, tokens_per_round
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_row import NAN, a_row
from scipy.stats import multivariate_normal


class Ends(NamedTuple):
    middle: float
    low: float
    high: float


def ends(law: Mixture) -> Ends:
    """Median and central 90 %."""
    return Ends(*(float(v) for v in law.quantiles([0.5, 0.05, 0.95])))


# --- spreads -----------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=6))
def test_the_likelihood_of_a_group_is_that_of_its_normal_law(misfits: list[float]) -> None:
    values = np.array(misfits)
    group = grouped("", "", "", values)
    found = log_likelihood(group.count, group.mean, group.around)
    for i, j in ((20, 30), (40, 10)):
        s, t = spreads.SPREADS[i], spreads.SPREADS[j]
        law = multivariate_normal(
            np.zeros(values.size), s**2 * np.eye(values.size) + t**2 * np.ones((values.size,) * 2)
        )
        constant = 0.5 * values.size * np.log(2.0 * np.pi)
        assert found[i, j] == pytest.approx(law.logpdf(values) + constant, rel=1e-6, abs=1e-6)


def test_without_sisters_a_forecast_is_centred_and_as_wide_as_its_prior() -> None:
    sharp = np.full((48, 48), -1e3)
    sharp[30, 20] = 0.0
    found = ends(conditioned(sharp, np.array([])))
    wide = float(np.hypot(spreads.SPREADS[30], spreads.SPREADS[20]))
    assert found.middle == pytest.approx(0.0, abs=1e-3 * wide)
    assert (found.low, found.high) == (
        pytest.approx(-1.6449 * wide, rel=1e-3), pytest.approx(1.6449 * wide, rel=1e-3),
    )  # fmt: skip


def test_sisters_that_agree_move_a_forecast_and_those_that_disagree_widen_it() -> None:
    prior = prior_of("speed-up", 2)
    alone = ends(conditioned(prior, np.array([])))
    agree = ends(conditioned(prior, np.full(8, 0.8)))
    torn = ends(conditioned(prior, np.array([-3.0, 3.2, -2.8, 3.4, -3.1, 3.1])))
    assert 0.75 < agree.middle < 0.81
    assert agree.high - agree.low < 0.3 * (alone.high - alone.low)
    assert abs(torn.middle) < 0.2
    assert torn.high - torn.low > 2.0 * (alone.high - alone.low)


@settings(max_examples=20)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=9))
def test_a_forecast_mirrors_with_its_sisters(misfits: list[float]) -> None:
    values, prior = np.array(misfits), prior_of("speed-up", 2)
    one, other = (ends(conditioned(prior, v)) for v in (values, -values))
    assert one.middle == pytest.approx(-other.middle, abs=0.01)
    assert one.low == pytest.approx(-other.high, abs=0.02)
    assert one.low < one.middle < one.high


@pytest.mark.parametrize("sisters", [[], [0.7, -0.2, 0.5]])
@pytest.mark.parametrize("noise", [0.1, 0.6, 1.0])
def test_a_second_measurement_shares_all_but_the_scatter_with_the_first(
    sisters: list[float], noise: float
) -> None:
    sharp = np.full((48, 48), -1e3)
    sharp[30, 26] = 0.0
    s2, t2, n = spreads.SPREADS[30] ** 2, spreads.SPREADS[26] ** 2, len(sisters)
    # Of (sisters, first, second): all share t^2, the last two the part of s^2 that is no scatter.
    whole = t2 * np.ones((n + 2, n + 2)) + s2 * np.eye(n + 2)
    whole[n, n + 1] = whole[n + 1, n] = t2 + (1.0 - noise) * s2
    gain = np.linalg.solve(whole[:-1, :-1], whole[:-1, -1])
    law = conditioned(sharp, np.array(sisters), (1.3, noise))
    assert float(law.center[0]) == pytest.approx(gain @ np.array([*sisters, 1.3]))
    assert s2 < 1.0  # what the law fitted more than that is the scatter of the second alone
    variance = s2 + t2 - gain @ whole[:-1, -1] + noise * (1.0 - s2)
    assert float(law.spread[0]) == pytest.approx(np.sqrt(variance))


def drawn_family(
    rng: np.random.Generator, center: tuple[float, float], *, sweeps: int, width: float = 0.5
) -> np.ndarray[Any, np.dtype[np.float64]]:
    own, shared = np.array(center) * np.exp(width * rng.standard_normal(2))
    return np.asarray(shared * rng.standard_normal() + own * rng.standard_normal(sweeps))


@pytest.mark.parametrize("sisters", [0, 1, 6])
@pytest.mark.parametrize("center", [(0.3, 0.2), (0.8, 0.8), (0.15, 1.2)])
def test_nine_in_ten_of_a_new_study_are_inside_when_studies_are_alike(
    sisters: int, center: tuple[float, float]
) -> None:
    rng = np.random.default_rng([7, sisters, int(100 * center[0])])
    studies = [
        grouped(f"study {i}", "", f"family {j}", drawn_family(rng, center, sweeps=3))
        for i in range(8) for j in range(3)
    ]  # fmt: skip
    prior, inside = learned(studies), []
    for _ in range(150):
        u = drawn_family(rng, center, sweeps=sisters + 1)
        inside.append(0.05 <= conditioned(prior, u[1:]).below(u[:1])[0] <= 0.95)
    assert 0.82 <= np.mean(inside) <= 0.98


def test_a_study_counts_alike_however_many_sweeps_it_has() -> None:
    rng = np.random.default_rng(3)
    narrow = [grouped("a", "", str(i), 0.1 * rng.standard_normal(3)) for i in range(4)]
    wide = [grouped("b", "", str(i), 1.5 * rng.standard_normal(3)) for i in range(4)]
    once = ends(conditioned(learned([*narrow, *wide]), np.array([])))
    often = ends(conditioned(learned([*(narrow * 20), *wide]), np.array([])))
    assert often.high == pytest.approx(once.high, rel=0.1)


def test_the_misfits_of_a_study_do_not_teach_its_own_prior() -> None:
    whole, without = prior_of("speed-up", 2), prior_of("speed-up", 2, "sgl-project/specforge")
    assert not np.allclose(whole, without)
    assert np.allclose(whole, prior_of("speed-up", 2, "a study that is not bundled"))
    assert not np.allclose(whole, prior_of("speed-up", 2, engine="sglang"))
    assert set(stored().misfits) == {
        f"{quantity}, {others}" for quantity in ("speed-up", "tokens")
        for others in ("one", "several")
    }  # fmt: skip


def test_the_table_of_misfits_is_what_the_bundled_sweeps_give() -> None:
    own = [s for s in bundled_sweeps() if s.study == "ggml-org/llama.cpp"]
    found = groups_of(own)["speed-up"]

    def table(others: str) -> list[float]:
        groups = stored().misfits[f"speed-up, {others}"]
        return [g.mean for g in groups if g.study == "ggml-org/llama.cpp"]

    assert [g.mean for g in found] == pytest.approx(table("several"), rel=1e-3)
    pairs = groups_of([p for s in own for p in pairs_of(s)])["speed-up"]
    assert [g.mean for g in pairs] == pytest.approx(table("one"), rel=1e-3)
    rows = [r for r in library_rows() if stated.usable(r)]
    assert len(rows) == len(stored().realised)
    for row, known in zip(rows[::7], stored().realised[::7], strict=True):
        assert stated.realised(row).misfit == pytest.approx(known.misfit, abs=1e-3)


# --- sweeps of a known law, as they are published ------------------------------------------------


def published(rng: np.random.Generator, k: int, *, digits: int, tau: bool) -> GammaSweep:
    """A sweep of a law drawn at random, with noise, printed with so many digits."""
    gammas = np.array([1, 2, 3, 5, 7])[: int(rng.integers(3, 6))]
    alpha, decay = rng.uniform(0.45, 0.9), float(np.exp(rng.normal(0.0, 0.04)))
    law = DepthAcceptance(np.array(alpha), np.array(decay))
    tokens = np.asarray(tokens_by_gamma(law, int(gammas.max())))[gammas]
    rounds = 1.0 + abs(rng.normal(0.0, 0.2)) + rng.uniform(0.02, 0.2) * gammas
    noise = rng.choice([0.004, 0.012, 0.025])
    gains = tokens / rounds * np.exp(noise * rng.standard_normal(gammas.size))
    tokens = np.clip(tokens * np.exp(0.004 * rng.standard_normal(gammas.size)), 1.0, gammas + 1.0)
    return GammaSweep(tuple(
        a_row(int(g), target=f"T{k}", speedup=round(float(s), digits), source=f"study {k}",
              tau=round(float(t), 3) if tau else NAN, speedup_step=10.0**-digits)
        for g, s, t in zip(gammas, gains, tokens, strict=True)
    ))  # fmt: skip


@pytest.mark.parametrize("tau", [True, False])
@pytest.mark.parametrize("digits", [1, 2])
def test_printed_digits_of_a_known_law_are_inside(
    monkeypatch: pytest.MonkeyPatch, digits: int, tau: bool
) -> None:
    monkeypatch.setattr(learned_sweeps, "DRAWS", 200)
    rng = np.random.default_rng([5, digits, tau])
    some = [published(rng, k, digits=digits, tau=tau) for k in range(14 if tau else 7)]
    gain, _ = leave_one_gamma_out(some, name="x")
    assert gain.coverage is not None
    assert gain.coverage >= 0.85
    widths = [np.log(p.high / p.low) for p in gain.points]
    assert np.median(widths) < (0.5 if digits == 1 else 0.35)


def test_coarse_digits_widen_an_interval() -> None:
    rng = np.random.default_rng(2)
    fine = published(rng, 0, digits=3, tau=True)
    widths = []
    for digit in (0.001, 0.2):
        sweep = replace(fine.sweep, digit=digit)
        laws = [forecast_gamma(sweep.without(r.gamma), r.gamma) for r in fine.rows]
        found = [law.speedup.interval(0.9) for law in laws]
        widths.append(sum(np.log(one.high / one.low) for one in found))
    assert widths[1] > 1.08 * widths[0]


# --- realisation -------------------------------------------------------------------------------


def studies_of(
    rng: np.random.Generator, count: int, *, spread: float = 0.2, rows: int = 6, mean: float = -0.1
) -> list[Realised]:
    found = []
    for i in range(count):
        study = mean + spread * rng.standard_normal()
        pairs = 0.1 * rng.standard_normal(2)
        noise = 0.08 * np.exp(0.4 * rng.standard_normal())
        found += [
            Realised(f"s{i}", f"p{j % 2}", float(study + pairs[j % 2] + noise * e))
            for j, e in enumerate(rng.standard_normal(rows))
        ]
    return found


def test_rows_of_a_new_study_are_inside_nine_times_in_ten() -> None:
    rng, inside = np.random.default_rng(11), []
    for _ in range(60):
        rows = studies_of(rng, 6)
        teachers = [r for r in rows if r.study != "s5"]
        alone = Learned(teachers)
        for row in rows[-6::3]:
            _, low, high = ends(alone.forecast(row))
            inside.append(low <= row.misfit <= high)
    assert 0.83 <= np.mean(inside) <= 0.98


def test_rows_of_the_study_itself_narrow_the_forecast_and_still_hold() -> None:
    rng, inside, widths = np.random.default_rng(12), [], []
    for _ in range(60):
        rows = studies_of(rng, 5)
        teachers = [r for r in rows if r.study != "s4"]
        *sisters, row = rows[-6:]
        _, low, high = ends(Learned(teachers, sisters).forecast(row))
        _, wide_low, wide_high = ends(Learned(teachers).forecast(row))
        inside.append(low <= row.misfit <= high)
        widths.append((high - low) / (wide_high - wide_low))
    assert 0.8 <= np.mean(inside) <= 0.98
    assert np.median(widths) < 0.75


def test_without_teachers_nothing_is_assumed_of_the_mean() -> None:
    row = Realised("new", "p", 0.0)
    middle, low, high = ends(Learned([]).forecast(row))
    assert middle == pytest.approx(0.0, abs=0.01)
    assert low == pytest.approx(-high, abs=0.02)
    assert high > 1.6 * realisation.MEAN_SPREAD
    agreed = [Realised(f"s{i}", "p", -0.3) for i in range(6)]
    assert ends(Learned(agreed).forecast(row)).middle == pytest.approx(-0.3, abs=0.06)
    _, narrow, wide = ends(Learned(agreed).forecast(Realised("new", "p", 0.0, 0.25)))
    assert wide - narrow > 1.6


def test_a_measurement_of_stated_numbers_is_expected_by_what_is_stored_of_other_studies() -> None:
    law = Learned(stored().realised).forecast(Realised("", "", 0.0))
    found = expected_measurement(2.0)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        [2.0 * np.exp(y) for y in ends(law)], rel=2e-3
    )
    wide = expected_measurement(2.0, variance=0.5, level=0.9)
    assert wide.high / wide.low > 1.5 * found.high / found.low
    known = expected_measurement(2.0, study=stored().realised[0].study)
    assert known != found
    with pytest.raises(ValueError, match=r"ideal must be in \(0, inf\), got 0"):
        expected_measurement(0.0)


def test_rows_of_a_task_teach_its_other_pairs() -> None:
    rows = [
        Realised("s", pair, 0.3 if task == "a" else -0.3, 0.0, task)
        for pair in ("p", "q", "r") for task in ("a", "b")
    ]  # fmt: skip
    learned = Learned([], rows)
    high, low = (ends(learned.forecast(Realised("s", "new", 0.0, 0.0, t))).middle for t in "ab")
    assert high > 0.2
    assert low < -0.2
    assert abs(ends(learned.forecast(Realised("s", "new", 0.0, 0.0, "c"))).middle) < 0.1


# --- stated ------------------------------------------------------------------------------------


def test_tokens_of_a_row_follow_from_what_it_states() -> None:
    assert stated.tokens_of(a_row(4, tau=2.5, alpha=0.9)) == 2.5
    for kind in ("overlap", "alpha_conditional"):
        iid = stated.tokens_of(a_row(4, alpha=0.5, alpha_kind=kind))
        assert iid == pytest.approx((1 - 0.5**5) / 0.5)
    assert stated.tokens_of(a_row(4, alpha=0.5, alpha_kind="accepted_over_drafted")) == 3.0
    first = stated.tokens_of(a_row(4, alpha=0.5, alpha_kind="first_position"))
    assert float(tokens_per_round(0.5, 4)) < first < 2.2
    paper, log = a_row(4, alpha=0.5), a_row(4, alpha=0.5, engine="vLLM 0.11")
    assert (stated.tokens_of(paper), stated.tokens_of(log)) == (pytest.approx(1.9375), 3.0)


def test_a_stated_row_is_ideal_times_what_others_realise() -> None:
    row = a_row(4, tau=3.0, cost_ratio=0.1, speedup=1.9)
    seen, unseen = stated_tests([row, a_row(4), a_row(0, tau=2.0, cost_ratio=0.1)])
    (point,) = unseen.points
    assert seen.points == unseen.points  # of a study that nothing else is known of
    gained = np.log(point.predicted / (3.0 / 1.4))
    assert gained == pytest.approx(np.interp(0.5, *reversed(stored().new_study)), abs=1e-9)
    studies: dict[str, list[float]] = {}
    for r in stored().realised:
        studies.setdefault(r.study, []).append(r.misfit)
    means = [np.mean(v) for v in studies.values()]  # each study counts alike
    assert abs(gained - np.mean(means)) < np.std(means, ddof=1) / np.sqrt(len(means))
    assert point.low < point.predicted < point.high
    assert point.rivals[rivals.PLAIN] == pytest.approx(3.0 / 1.4)
    assert point.rivals[rivals.SDSL] is None
    (again,) = stated_tests([a_row(4, tau=3.0, cost_ratio=0.1, speedup=9.9)])[0].points
    assert (again.predicted, again.low, again.high) == (point.predicted, point.low, point.high)


def test_other_rows_of_a_study_say_what_it_realises_but_never_the_row_itself() -> None:
    def study(last: float) -> list[MeasuredRow]:
        ideal = {g: float(tokens_per_round(0.8, g)) / (1.0 + 0.1 * g) for g in (2, 3, 4, 5)}
        rows = [
            a_row(g, alpha=0.8, cost_ratio=0.1, speedup=0.5 * s, source="mine")
            for g, s in ideal.items()
        ]
        return [*rows[:-1], a_row(5, alpha=0.8, cost_ratio=0.1, speedup=last, source="mine")]

    seen, unseen = stated_tests(study(1.0))
    ideal = float(tokens_per_round(0.8, 5)) / 1.5
    assert unseen.points[3].predicted > 0.7 * ideal
    assert seen.points[3].predicted == pytest.approx(0.5 * ideal, rel=0.12)
    other = stated_tests(study(3.0))[0].points[3]
    assert (other.predicted, other.low) == (seen.points[3].predicted, seen.points[3].low)
    twice = [*study(1.0), a_row(5, tau=3.0, cost_ratio=0.1, speedup=1.0, source="mine")]
    same = stated_tests(twice)[0].points[3]
    assert same.predicted == pytest.approx(seen.points[3].predicted)


@pytest.mark.parametrize(
    ("changes", "stack"),
    [
        ({"engine": "vLLM 0.11"}, "serving"), ({"engine": "SGLang"}, "serving"),
        ({"engine": "T5X (encoder-decoder)"}, "xla"), ({"hardware": "M4 (mlx_lm)"}, "mlx"),
        ({"engine": "llama.cpp b1"}, "llama.cpp"), ({"engine": "HF transformers"}, "eager"),
        ({"engine": "gpt-fast"}, "graphs"), ({}, "serving"),
        ({"engine": "vLLM-v0.11 with MLX"}, "serving"), ({"engine": "vllm-mlx 0.2"}, "mlx"),
        ({"engine": "own loop"}, "eager"), ({"hardware": "RTX 3090, GGUF"}, "llama.cpp"),
        ({"hardware": "TPU-v4"}, "xla"), ({"engine": "torchless"}, "serving"),
    ],
)  # fmt: skip
def test_the_engine_names_its_stack(changes: dict[str, str], stack: str) -> None:
    assert stated.stack_of(a_row(**changes)) == stack


def test_verification_grows_where_model_and_machine_are_known() -> None:
    def growth(target: str, machine: str, batch: float) -> Any:
        return stated.verify_and_around(target, machine, batch, 4, "serving")

    assert growth("no such model", "H100", 1.0) is None
    assert growth("Llama-3.1-8B-Instruct", "no such machine", 1.0) is None
    one, many = (growth("Llama-3.1-8B-Instruct", "H100", b) for b in (1.0, 256.0))
    assert 1.0 <= np.median(one) < np.median(many) < 5.0


def test_with_their_study_left_out_stated_rows_beat_both_rivals() -> None:
    seen, unseen = (t.summary() for t in stated_tests(library_rows()))
    assert unseen["points"] >= 75
    assert unseen["median_abs_error"] < 0.9 * unseen["rivals"][rivals.PLAIN]
    sdsl = unseen["rivals"][rivals.SDSL]
    assert unseen["median_beside_rival"][rivals.SDSL] < sdsl
    assert unseen["coverage_90"] >= 0.85
    assert seen["median_abs_error"] < 0.1
    assert 0.85 <= seen["coverage_90"] <= 0.98
