"""Laws from records: medians of what was timed, sums of parts, requests round by round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from howspec.calibrate.measured import (
    MeasuredCost,
    Rounds,
    measured_cost,
    operation_s,
    pass_law,
    requests_s,
    rounds_of,
    timed_rounds,
)
from howspec.calibrate.measured.rounds import STRETCHES, shrunk
from howspec.calibrate.records import Record
from hypothesis import given, settings
from hypothesis import strategies as st

TOKENS, BATCHES, CONTEXTS = (1, 2, 4, 8), (1, 4), (64, 256)


def seconds(model: str, tokens: int, batch: int, context: int) -> float:
    base = {"big": 0.01, "small": 0.001}[model]
    return base * (1.0 + 0.05 * tokens * batch + context / 4096)


def a_pass(model: str, tokens: int, batch: int, context: int, **more: Any) -> dict[str, Any]:
    s = seconds(model, tokens, batch, context)
    point = {"operation": "pass", "model": model, "tokens": tokens, "batch": batch}
    # The median is s whatever the outlier.
    return {**point, "context": context, "mode": "eager", "times_s": [0.9 * s, s, 7.0 * s], **more}


def around(operation: str, tokens: int, temperature: float, s: float) -> dict[str, Any]:
    point = {"operation": operation, "model": "big", "tokens": tokens, "batch": 1}
    mode = f"temperature {temperature:g}"
    return {**point, "mode": mode, "temperature": temperature, "times_s": [s, s, 3 * s]}


AROUND = (
    around("draw", 1, 0.0, 1e-5), around("draw", 1, 1.0, 2e-5),
    around("verify", 1, 1.0, 3e-5), around("verify", 3, 1.0, 7e-5),
    around("verify", 1, 0.0, 4e-6), around("verify", 3, 0.0, 6e-6),
)  # fmt: skip


def the_record(**changed: Any) -> Record:
    """All passes of both models; ``changed``: "model/tokens/batch/context" -> what to put over."""
    points = []
    for m in ("big", "small"):
        for n in TOKENS:
            for b in BATCHES:
                for c in CONTEXTS:
                    p = a_pass(m, n, b, c)
                    over = changed.get(f"{m}/{n}/{b}/{c}", {})
                    if over is None:
                        continue
                    if "error" in over:
                        p.pop("times_s")
                    points.append({**p, **over})
    return Record("costs", {}, {}, (*points, *AROUND))


def test_a_law_of_passes_meets_the_median_of_every_measured_point() -> None:
    for model in ("big", "small"):
        law = pass_law(the_record(), model)
        for b in BATCHES:
            for c in CONTEXTS:
                times = law.step_time(np.array(TOKENS, dtype=float), batch=b, context=c)
                wanted = [seconds(model, n, b, c) for n in TOKENS]
                assert times == pytest.approx(wanted, rel=1e-12)


def test_the_mode_asked_for_is_the_mode_answered() -> None:
    compiled = {"mode": "graphs", "times_s": [1.0]}
    twin = [a_pass("big", n, 1, 64) | compiled | {"times_s": [float(n)]} for n in (1, 2)]
    record = Record("costs", {}, {}, (*the_record().points, *twin))
    law = pass_law(record, "big", mode="graphs")
    assert law.step_time(np.array([1.0, 2.0]), context=64) == pytest.approx([1.0, 2.0])
    eager = pass_law(record, "big").step_time(np.ones(1), context=64)
    assert eager == pytest.approx(seconds("big", 1, 1, 64))


@pytest.mark.parametrize(
    "missing", [None, {"error": "out of memory"}, {"error": "out of memory", "times_s": []}]
)
def test_a_shape_with_a_missing_point_leaves_the_grid(missing: dict[str, Any] | None) -> None:
    law = pass_law(the_record(**{"big/8/4/256": missing}), "big")
    assert list(np.asarray(law.contexts)) == [64.0]
    assert list(np.asarray(law.batches)) == [1.0, 4.0]
    assert law.step_time(np.array([8.0]), batch=4, context=64) == pytest.approx(
        seconds("big", 8, 4, 64)
    )
    if missing is None:  # nothing else of the record has changed
        assert law.step_time(np.array([2.0]), batch=1, context=64) == pytest.approx(
            seconds("big", 2, 1, 64)
        )
    other = pass_law(the_record(**{"big/8/4/256": missing}), "small")
    assert list(np.asarray(other.contexts)) == [64.0, 256.0]


def test_an_unknown_model_or_mode_is_one_line_that_names_those_known() -> None:
    with pytest.raises(ValueError, match=r"known: big, small; got huge$") as error:
        pass_law(the_record(), "huge")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="graphs passes"):
        pass_law(the_record(), "big", mode="graphs")
    with pytest.raises(ValueError, match="the draw of small"):
        measured_cost(the_record(), "small", "big", whole=np.ones(3))


def test_times_of_operations_are_medians_by_tokens_and_any_warmth_is_alike() -> None:
    record = the_record()
    assert operation_s(record, "verify", "big", temperature=0.7) == {1: 3e-5, 3: 7e-5}
    assert operation_s(record, "verify", "big", temperature=0.0) == {1: 4e-6, 3: 6e-6}
    assert operation_s(record, "verify", "big", temperature=1.0, batch=4) == {}


def test_operations_that_state_no_model_or_only_an_error_are_passed_over() -> None:
    bare = {"operation": "draw", "times_s": [5.0]}
    failed = {**around("draw", 2, 1.0, 1.0), "times_s": [], "error": "out of memory"}
    record = Record("costs", {}, {}, (*the_record().points, bare, failed))
    assert operation_s(record, "draw", "big", temperature=1.0) == {1: 2e-5}


WHOLE = np.array([1.0, 0.7, 0.5, 0.4])


def the_cost(temperature: float = 1.0, whole: np.ndarray = WHOLE) -> MeasuredCost:
    return measured_cost(the_record(), "big", "small", whole=whole, temperature=temperature)


@pytest.mark.parametrize(("temperature", "draw"), [(1.0, 2e-5), (0.0, 1e-5)])
def test_a_round_is_the_sum_of_its_parts(temperature: float, draw: float) -> None:
    times = the_cost(temperature).round_time(3, context=64)
    rule = operation_s(the_record(), "verify", "big", temperature=temperature)
    rules = {1: rule[1], 2: 0.5 * (rule[1] + rule[3]), 3: rule[3]}
    assert times.shape == (4,)
    assert times[0] == pytest.approx(seconds("big", 1, 1, 64) + draw)
    first, second = (seconds("small", n, 1, 64) for n in (1, 2))
    for gamma in (1, 2, 3):
        verify = seconds("big", gamma + 1, 1, 64)
        drafting = WHOLE[gamma] * second + (1 - WHOLE[gamma]) * first + (gamma - 1) * first
        total = verify + drafting + gamma * draw + rules[gamma]
        assert times[gamma] == pytest.approx(total, rel=1e-12)


FIRST_S = 0.05  # what the first draft pass of a timed round takes more than one alone


def a_round(gamma: int, context: int, more_s: float, **changed: Any) -> dict[str, Any]:
    """Parts of the record, more_s in verifying; 3 s more where the draft read two tokens first."""
    point = {"operation": "round" if gamma else "step", "model": "small", "target": "big"}
    point |= {"tokens": gamma or 1, "batch": 1, "context": context, "mode": "eager"}
    if gamma == 0:
        step = seconds("big", 1, 1, context) + 2e-5 + more_s
        return {**point, "times_s": [step] * 8, **changed}
    small = seconds("small", 1, 1, context)
    rule = float(np.interp(gamma, [1, 3], [3e-5, 7e-5]))
    parts = {
        "first_draft_s": [small + FIRST_S, small + FIRST_S + 3.0] * 4,
        "draw_s": [gamma * 2e-5] * 8,
        "verify_s": [seconds("big", gamma + 1, 1, context) + more_s] * 8,
        "rule_s": [0.5 * rule] * 8,
        "other_s": [0.5 * rule] * 8,
    }
    if gamma > 1:
        parts["draft_s"] = [(gamma - 1) * small] * 8
    parts |= {k: v for k, v in changed.items() if k in parts}
    total = np.sum(list(parts.values()), axis=0).tolist()
    return {**point, **parts, "behind": [1, 2] * 4, "times_s": total, **changed}


def with_rounds(*points: dict[str, Any]) -> Record:
    return Record("costs", {}, {}, (*the_record().points, *points))


def test_rounds_that_were_timed_are_met_and_lift_those_between_and_beyond() -> None:
    points = [a_round(g, 64, 0.1 * (g + 1)) for g in (0, 1, 3)]
    points += [a_round(g, 256, 0.5) for g in (0, 1, 3)]
    none = np.zeros(8)
    alone = measured_cost(the_record(), "big", "small", whole=none)
    cost = measured_cost(with_rounds(*points), "big", "small", whole=none)
    first = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0]) * FIRST_S
    for context, excess in ((64, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]), (256, [0.5] * 6)):
        more = cost.round_time(5, context=context) - alone.round_time(5, context=context)
        assert more == pytest.approx(excess + first)
        drafting = cost.draft_time(5, context=context) - alone.draft_time(5, context=context)
        assert drafting == pytest.approx(first)
    middle = cost.round_time(1, context=160) - alone.round_time(1, context=160)
    assert middle == pytest.approx([0.3, 0.35 + FIRST_S])
    assert alone.draft_time(3, context=64)[2] == pytest.approx(2 * seconds("small", 1, 1, 64))


def test_a_round_accepted_whole_pays_the_first_pass_over_two_tokens() -> None:
    points = [a_round(g, 64, 0.0) for g in (0, 1, 2)]
    whole = np.array([1.0, 0.5, 0.25])
    cost = measured_cost(with_rounds(*points), "big", "small", whole=whole)
    never = measured_cost(with_rounds(*points), "big", "small", whole=np.zeros(3))
    more = cost.round_time(2, context=64) - never.round_time(2, context=64)
    assert more == pytest.approx([0.0, 1.5, 0.75])
    drafting = cost.draft_time(2, context=64) - never.draft_time(2, context=64)
    assert drafting == pytest.approx([0.0, 1.5, 0.75])


def test_the_error_of_timed_rounds_is_that_of_their_means() -> None:
    rng = np.random.default_rng(17)
    repeats = 48
    found, ratios = [], []
    for _ in range(400):
        # Half of the noise is shared by neighbours, as on a machine that drifts.
        drift = np.repeat(rng.normal(0.0, 0.05, STRETCHES), repeats // STRETCHES)
        verify = 1.0 + drift + rng.normal(0.0, 0.05, repeats)
        steps = 1.0 + rng.normal(0.0, 0.05, repeats)
        zero = [0.0] * repeats
        parts = {"first_draft_s": zero, "draw_s": zero, "rule_s": zero, "other_s": zero}
        points = [
            a_round(0, 64, 0.0, times_s=steps.tolist()),
            a_round(1, 64, 0.0, verify_s=verify.tolist(), behind=[1] * repeats,
                    times_s=verify.tolist(), **parts),
        ]  # fmt: skip
        rounds = timed_rounds(with_rounds(*points), "big", "small")
        assert rounds is not None
        found.append(rounds.error[1] ** 2)
        ratios.append(np.log(rounds.times_s[0, 0, 1] / rounds.times_s[0, 0, 0]))
    assert np.sqrt(np.mean(found)) == pytest.approx(np.std(ratios), rel=0.15)


def test_contexts_without_all_their_rounds_are_left_out() -> None:
    points = [a_round(g, c, 0.1) for g in (0, 2) for c in (64, 128)]
    failed = {k: v for k, v in points[3].items() if k != "times_s"} | {"error": "out of memory"}
    rounds = timed_rounds(with_rounds(*points[:3], failed), "big", "small")
    assert rounds is not None
    assert rounds.contexts.tolist() == [64.0]
    assert rounds.gammas.tolist() == [0, 2]
    assert timed_rounds(the_record(), "big", "small") is None
    assert timed_rounds(with_rounds(points[0]), "big", "small") is None


def test_the_verifying_pass_is_shared_by_drafts_that_do_not_differ() -> None:
    rng = np.random.default_rng(19)
    points = []
    for name in "abcdef":
        for gamma in (0, 1, 2):
            noise = 1.0 + rng.normal(0.0, 0.04, 80)
            point = a_round(gamma, 64, 0.0, model=name)
            key = "verify_s" if gamma else "times_s"
            points.append(point | {key: (np.resize(point[key], 80) * noise).tolist()})
    together, alone = [], []
    for name in "abcdef":
        own = [p for p in points if p["model"] == name]
        for found, record in ((together, with_rounds(*points)), (alone, with_rounds(*own))):
            rounds = timed_rounds(record, "big", name)
            assert rounds is not None
            drafting = rounds.draft_s[0, 0, 1:]
            found.append((rounds.times_s[0, 0, 1:] - drafting) / rounds.times_s[0, 0, :1])
    assert np.std(together, axis=0).mean() < 0.6 * np.std(alone, axis=0).mean()


@given(st.integers(2, 6), st.integers(1, 4), st.floats(0.0, 2.0), st.integers(0, 2**32 - 1))
def test_shrunk_values_lie_between_their_own_and_the_mean(
    drafts: int, columns: int, apart: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.01, 0.1, (drafts, columns))
    values = rng.normal(0.0, apart, (drafts, 1)) + rng.normal(0.0, 1.0, (drafts, columns)) * errors
    found = shrunk(values, errors)
    low, high = values.min(axis=0) - 1e-12, values.max(axis=0) + 1e-12
    assert ((low <= found) & (found <= high)).all()
    assert np.ptp(found, axis=0).max() <= np.ptp(values, axis=0).max() + 1e-12


def test_drafts_far_apart_keep_their_own_values_and_like_ones_are_put_together() -> None:
    errors = np.full((3, 2), 0.01)
    apart = np.array([[1.0, 2.0], [5.0, 6.0], [9.0, 8.0]])
    assert shrunk(apart, errors) == pytest.approx(apart, rel=1e-4)
    alike = np.array([[1.0, 2.0], [1.001, 2.001], [0.999, 1.999]])
    assert shrunk(alike, errors) == pytest.approx(np.broadcast_to([1.0, 2.0], (3, 2)))
    assert shrunk(alike, np.zeros((3, 2))) == pytest.approx(alike, rel=1e-15)


def test_beyond_the_survival_known_the_last_share_of_whole_rounds_holds() -> None:
    long, short = (the_cost(whole=w).round_time(6, context=64) for w in (
        np.append(WHOLE, [0.4, 0.4, 0.4]), WHOLE))  # fmt: skip
    assert long == pytest.approx(short, rel=1e-14)
    assert the_cost(whole=np.zeros(7)).round_time(6, context=64)[6] < long[6]


def test_a_round_outside_the_measured_passes_is_refused() -> None:
    with pytest.raises(ValueError, match="measured range"):
        the_cost().round_time(8, context=64)
    with pytest.raises(ValueError, match="context must be in the measured range"):
        the_cost().round_time(2, context=512)


# --- rounds ------------------------------------------------------------------------------------


def played(*requests: tuple[str, list[int]], drafted: int = 3) -> Rounds:
    return Rounds(drafted, tuple(np.array(a) for _, a in requests), tuple(d for d, _ in requests))


def test_survival_counts_the_rounds_of_all_requests() -> None:
    rounds = played(("a", [0, 3, 1]), ("b", [2]))
    assert rounds.survival() == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert rounds.survival(np.array([0.0, 5.0])) == pytest.approx([1.0, 1.0, 1.0, 0.0])
    assert rounds.law().survival(3) == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_a_draft_that_is_never_accepted_has_a_law_too() -> None:
    assert played(("a", [0, 0])).law().survival(3) == pytest.approx([1.0, 0.0, 0.0, 0.0])


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=5))
def test_survivals_fall_from_one_and_every_bootstrap_sample_does(counts: list[list[int]]) -> None:
    rounds = played(*[("ab"[i % 2], c) for i, c in enumerate(counts)])
    sample = rounds.sample(np.random.default_rng(0), draws=5)
    for survival in (rounds.survival(), *sample):
        assert survival[0] == pytest.approx(1.0)
        assert (np.diff(survival) <= 1e-12).all()
        assert survival[-1] >= 0.0


def test_bootstrap_samples_centre_on_the_pooled_survival() -> None:
    rng = np.random.default_rng(3)
    requests = [("ab"[i % 2], rng.integers(0, 4, 40).tolist()) for i in range(60)]
    rounds = played(*requests)
    draws = 4000
    sample = rounds.sample(np.random.default_rng(5), draws=draws)
    error = sample.std(axis=0) / np.sqrt(draws)
    assert (np.abs(sample.mean(axis=0) - rounds.survival())[1:] < 4 * error[1:]).all()


def test_domains_are_resampled_apart() -> None:
    # Within a domain all requests are alike: apart, nothing is left to vary.
    alike = played(*[("a", [3, 3])] * 4, *[("b", [0, 0])] * 4)
    apart = alike.sample(np.random.default_rng(7), draws=50)
    assert apart == pytest.approx(np.broadcast_to(alike.survival(), apart.shape))
    pooled = Rounds(3, alike.accepted, ("a",) * 8).sample(np.random.default_rng(7), draws=50)
    assert pooled[:, 1].std() > 0.05


def a_round_record(*points: dict[str, Any]) -> Record:
    base = {"type": "rounds", "draft": "d", "domain": "code", "temperature": 0.7, "drafted": 3}
    return Record("acceptance", {}, {}, tuple({**base, "request": i, **p}
                                              for i, p in enumerate(points)))  # fmt: skip


def test_rounds_are_those_of_the_draft_temperature_and_domains_asked_for() -> None:
    record = a_round_record(
        {"accepted": [3, 1]}, {"accepted": [0], "domain": "chat"}, {"accepted": [2], "draft": "e"},
        {"accepted": [1], "temperature": 0.0}, {"error": "out of memory"},
    )  # fmt: skip
    rounds = rounds_of(record, "d", temperature=0.7)
    assert [a.tolist() for a in rounds.accepted] == [[3, 1], [0]]
    assert rounds.domains == ("code", "chat")
    assert rounds.drafted == 3
    chat = rounds_of(record, "d", temperature=0.7, domains=["chat"])
    assert [a.tolist() for a in chat.accepted] == [[0]]
    with pytest.raises(ValueError, match=r"rounds of d at temperature 0\.5"):
        rounds_of(record, "d", temperature=0.5)


@pytest.mark.parametrize("second", [5, [3, 3]])
def test_rounds_of_several_lengths_are_refused_in_one_line(second: object) -> None:
    record = a_round_record({"accepted": [3]}, {"accepted": [2], "drafted": second})
    with pytest.raises(ValueError, match="drafted must be one number in all rounds of d"):
        rounds_of(record, "d", temperature=0.7)


# --- requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [1, 7, 60])
def test_the_time_of_a_request_is_that_of_a_loop_of_rounds(tokens: int) -> None:
    survival = np.array([1.0, 0.7, 0.5, 0.4])
    cost = the_cost(whole=survival)
    expected = requests_s(survival, cost, tokens=tokens, contexts=[64.0])
    times = cost.round_time(3, context=64)
    rng, requests = np.random.default_rng(11), 4000
    for gamma in range(4):
        seen = np.zeros(requests)
        left = np.full(requests, tokens)
        while (left > 0).any():
            open_ = left > 0
            seen[open_] += times[gamma]
            uniform = rng.random(requests)[:, None]
            emitted = 1 + (uniform < survival[None, 1 : gamma + 1]).sum(axis=1)
            left = np.where(open_, left - emitted, left)
        error = seen.std() / np.sqrt(requests)
        assert abs(seen.mean() - expected[gamma]) <= 4 * error + 1e-12 * expected[gamma]


def test_requests_of_a_sample_of_survivals_are_those_of_each() -> None:
    sample = np.array([[1.0, 0.7, 0.5, 0.4], [1.0, 0.2, 0.0, 0.0]])
    cost = the_cost()
    both = requests_s(sample, cost, tokens=20, contexts=[64.0])
    assert both.shape == (2, 4)
    for row, survival in zip(both, sample, strict=True):
        assert row == pytest.approx(requests_s(survival, cost, tokens=20, contexts=[64.0]))
    assert (both[1, 1:] > both[0, 1:]).all()
    ends = [requests_s(sample, cost, tokens=20, contexts=[c]) for c in (64.0, 256.0)]
    assert requests_s(sample, cost, tokens=20, contexts=[64.0, 256.0]) == pytest.approx(
        np.mean(ends, axis=0)
    )
    with pytest.raises(ValueError, match="contexts must hold at least 1"):
        requests_s(sample, cost, tokens=20, contexts=[])
    assert both[0, 0] == both[1, 0] == pytest.approx(20 * cost.round_time(0, context=64)[0])
