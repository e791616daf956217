"""Tuning: the belief is updated as conjugate laws are, and the search ends where it should."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from howspec.calibrate.doors import Deployment
from howspec.sim.known import Sources
from howspec.sim.tune.belief import LENGTH_ERROR, SPEED_ERROR, Belief, Point, Seen
from howspec.sim.tune.prior import believed
from howspec.sim.tune.server import check_template, engine_of, launch_words, words
from howspec.sim.tune.tuning import Tuned, following, start_and_load, tune

AT = Deployment("Qwen3-32B", device="H200 SXM", task="chat")
DRAFTS, GAMMAS, BATCHES = ("Qwen3-0.6B", "Qwen3-1.7B", "EAGLE3"), (1, 2, 3, 4, 6), (1, 8, 32)
MINUTES = start_and_load(2.0, 1.0)
FULL = 2.0 * (1 + len(DRAFTS) * len(GAMMAS)) + len(BATCHES) * (1 + len(DRAFTS) * len(GAMMAS))


@cache
def prior(seed: int = 0) -> Belief:
    return believed(AT, DRAFTS, gammas=GAMMAS, batches=BATCHES, seed=seed)[0]


def search(number: int, *, tolerance: float = 0.01, share: float = 0.12) -> tuple[Tuned, float]:
    """A search on an engine whose truth is drawn from laws of another seed, and its regret."""
    truths = prior(991)
    rng = np.random.default_rng([3, number])
    i = int(rng.integers(len(truths.logs)))
    speeds = dict(zip(truths.points, truths.logs[i], strict=True))

    def measure(point: Point) -> Seen:
        length = None
        if point.draft:
            at = DRAFTS.index(point.draft) * len(GAMMAS) + GAMMAS.index(point.gamma)
            length = max(math.exp(truths.lengths[i, at] + 0.01 * rng.standard_normal()), 1.0)
        return Seen(point, math.exp(speeds[point] + 0.02 * rng.standard_normal()), length)

    found = tune(prior(), measure, minutes=MINUTES, tolerance=tolerance, most_minutes=share * FULL)
    mine = [
        speeds[Point(found.chosen.draft if g else "", g, b)] for b, g in found.chosen.gammas.items()
    ]
    return found, 1.0 - math.exp(float(np.mean(mine)) - float(truths.worth(truths.logs[i])))


def test_measurements_move_a_belief_as_normal_laws_are_updated() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((6, 6))
    state = 4.0 + rng.standard_normal((40_000, 6)) @ root.T
    belief = Belief(("d",), (2,), (1, 4), state[:, :4], state[:, 4:5])
    seen = [Seen(Point("", 0, 4), 60.0), Seen(Point("d", 2, 1), 90.0, 2.0)]
    after = belief.given(seen, rng)
    rows, values = [1, 2, 4], np.log([60.0, 90.0, 2.0])
    errors = np.square([SPEED_ERROR, SPEED_ERROR, LENGTH_ERROR])
    mean, covariance = belief.state.mean(axis=0), np.cov(belief.state, rowvar=False)
    gain = covariance[:, rows] @ np.linalg.inv(covariance[np.ix_(rows, rows)] + np.diag(errors))
    left = covariance - gain @ covariance[rows]
    assert after.state.mean(axis=0) == pytest.approx(mean + gain @ (values - mean[rows]), abs=0.02)
    assert np.cov(after.state, rowvar=False) == pytest.approx(left, abs=0.03)
    again = after.given(seen, np.random.default_rng(1))
    assert again.state.mean(axis=0) == pytest.approx(after.state.mean(axis=0), abs=0.02)


def test_a_quarter_of_the_time_of_a_small_grid_leaves_little_regret_as_said() -> None:
    runs = [search(k, share=0.25) for k in range(16)]
    regrets = np.array([r for _, r in runs])
    assert regrets.mean() < 0.03
    assert all(found.minutes <= 0.25 * FULL for found, _ in runs)
    said = np.mean([found.chosen.regret for found, _ in runs])
    assert said == pytest.approx(regrets.mean(), abs=4.0 * regrets.std() / 4.0)


def test_the_search_ends_at_its_tolerance_and_measures_nothing_twice() -> None:
    found, _ = search(1, tolerance=0.05, share=1.0)
    assert found.chosen.regret < 0.05
    assert found.why == "the expected regret is below 5 %"
    assert found.seen[0].point == Point("", 0, 8)
    points = [s.point for s in found.seen]
    assert len(set(points)) == len(points)
    assert set(points) | set(found.left) == set(prior().points)
    every, _ = search(1, tolerance=1e-9, share=2.0)
    assert every.why == "everything was measured"
    assert not every.left


def test_a_search_goes_on_from_what_was_measured_before() -> None:
    first, _ = search(2, tolerance=0.02)

    def never(point: Point) -> Seen:
        raise AssertionError(f"{point} was measured again")

    again = tune(prior(), never, minutes=MINUTES, seen=first.seen, tolerance=0.021, most_minutes=0)
    assert again.chosen.draft == first.chosen.draft
    assert again.seen == first.seen


def test_starting_a_server_weighs_against_another_configuration() -> None:
    rng = np.random.default_rng(4)
    middle = prior().points.index(Point("", 0, 8))
    seen = [Seen(Point("", 0, 8), float(np.exp(prior().logs[:, middle].mean())))]
    belief = prior().given(seen, rng)
    dear, free = start_and_load(1e6, 1.0), start_and_load(0.0, 1.0)
    last = Point("EAGLE3", 3, 1)
    there = following(belief, lambda points: dear(points, last))
    assert there is not None
    assert there.configuration == ("EAGLE3", 3)
    elsewhere = following(belief, lambda points: free(points, last))
    assert elsewhere is not None


def test_what_lies_far_outside_is_said() -> None:
    at = Point("", 0, 8)
    usual = float(np.exp(prior().logs[:, prior().points.index(at)].mean()))
    rng = np.random.default_rng(5)
    assert prior().given([Seen(at, usual)], rng).surprising() == ()
    (note,) = prior().given([Seen(at, 1000.0 * usual)], rng).surprising()
    assert note.startswith("plain decoding, batch 8: ")


def slow(drafts: tuple[str, ...], batches: tuple[int, ...] = (1,)) -> Belief:
    """A processor on which the prior is sure of 1.2 tokens/s and of little gain."""
    device = "bandwidth=20,memory=64,fp16=0.2"
    at = Deployment("Llama-3.1-8B", device=device, stack="llama.cpp", context=128.0)
    return believed(at, drafts, gammas=(1, 2, 4), batches=batches)[0]


@pytest.mark.parametrize("draft", ["Llama-3.2-1B", "Llama-3.2-3B"])
@pytest.mark.parametrize("batches", [(1,), (1, 4)])
def test_a_machine_that_is_not_the_named_one_does_not_end_the_search_unseen(
    draft: str, batches: tuple[int, ...]
) -> None:
    """Plain decoding forty times as fast as believed says nothing of the gain."""

    def tokens(gamma: int) -> float:
        return 1.0 + float(np.mean([min(n, gamma) for n in (gamma, 1, gamma, 0, 2)]))

    def measure(point: Point) -> Seen:
        length = tokens(point.gamma) if point.draft else None
        time = 0.02 * (1.0 + 0.15 * point.gamma)
        return Seen(point, point.batch * (length or 1.0) / time, length)

    found = tune(slow((draft,), batches), measure, minutes=MINUTES)
    assert any(s.point.draft for s in found.seen)
    speed = {g: measure(Point(draft if g else "", g, 1)).tokens_per_s for g in (0, 1, 2, 4)}
    worst = max(1.0 - speed[g] / max(speed.values()) for g in found.chosen.gammas.values())
    assert worst < (0.02 if len(batches) == 1 else 0.1)
    (note,) = found.notes
    assert note.startswith("plain decoding, batch 1: 50 tokens/s were measured")


def test_a_surprise_widens_speeds_and_gains_and_a_usual_step_nothing() -> None:
    prior_, rng = slow(("Llama-3.2-3B",)), np.random.default_rng(0)
    usual = float(np.exp(prior_.logs[:, 0].mean()))
    after = [prior_.given([Seen(Point("", 0, 1), f * usual)], rng) for f in (1.0, 40.0)]
    near, far = (b.logs[:, 2] - b.logs[:, 0] for b in after)
    assert far.std() > 2.0 * near.std()
    before = prior_.logs[:, 2] - prior_.logs[:, 0]
    assert far.mean() == pytest.approx(before.mean(), abs=0.1)
    assert np.exp(after[1].logs[:, 0]).mean() == pytest.approx(40.0 * usual, rel=0.02)


def sure(gain: float, spread: float) -> Belief:
    rng = np.random.default_rng(1)
    plain = 3.0 + 0.2 * rng.standard_normal((800, 1))
    drafted = plain + math.log(gain) + spread * rng.standard_normal((800, 1))
    return Belief(("d",), (2,), (1,), np.concatenate([plain, drafted], axis=1), 0.5 + 0 * plain)


def test_a_prior_alone_ends_a_search_only_where_it_is_all_but_certain() -> None:
    def measure(point: Point) -> Seen:
        return Seen(point, math.exp(3.0) * (1.3 if point.draft else 1.0))

    known = tune(sure(0.5, 0.05), measure, minutes=MINUTES, tolerance=0.02)
    assert [s.point.draft for s in known.seen] == [""]
    assert "no draft was measured" in known.why
    assert "chance of less than 0.1 %" in known.why
    doubted = tune(sure(0.87, 0.1), measure, minutes=MINUTES, tolerance=0.02)
    assert tune(sure(0.87, 0.1), measure, minutes=MINUTES, tolerance=0.02, most_minutes=3).following
    assert [s.point.draft for s in doubted.seen] == ["", "d"]
    assert doubted.chosen.draft == "d"
    assert doubted.why == "the expected regret is below 2 %"


def test_stated_costs_leave_the_machine_open_and_the_choice_known() -> None:
    belief, _, _ = believed(
        Deployment("Qwen3-32B"), ["Qwen3-0.6B"], Sources(acceptance=0.8, costs=0.05), batches=(1,)
    )
    chosen = belief.chosen()
    assert chosen.gammas[1] in range(5, 9)
    assert belief.logs[:, 0].std() > 1.0
    assert chosen.gain[1].high / chosen.gain[1].low < 1.6


def test_templates_take_a_configuration_flags_or_neither() -> None:
    _, pairs, _ = believed(AT, ["Qwen3-0.6B"], batches=(4,))
    vllm, llama = (words(pairs[0], {4: 3}, e) for e in ("vllm", "llama.cpp"))
    template = "vllm serve M --speculative-config {config} --port 1"
    assert launch_words(template, vllm)[:4] == ["vllm", "serve", "M", "--speculative-config"]
    assert '"num_speculative_tokens": 3' in launch_words(template, vllm)[4]
    assert launch_words(template, None) == ["vllm", "serve", "M", "--port", "1"]
    served = launch_words("llama-server -m t.gguf {flags}", llama)
    assert served[-6:-4] == ["--spec-draft-n-max", "3"]
    assert launch_words("llama-server -m t.gguf {flags}", None) == ["llama-server", "-m", "t.gguf"]
    assert (engine_of(template), engine_of("x {flags}"), engine_of(None)) == (
        "vllm", "llama.cpp", "vllm",
    )  # fmt: skip
    for wrong in ("vllm serve", "{config} x", "a {flags} {config}", "a 'b {config}"):
        with pytest.raises(ValueError, match="launch must"):
            check_template(wrong)


def test_what_is_pasted_holds_each_gamma_around_its_batch() -> None:
    belief, pairs, _ = believed(AT, ["Qwen3-0.6B"], batches=(1, 16))
    chosen = belief.chosen()
    emission = words(pairs[0], chosen.gammas, "vllm", gain=chosen.gain)
    table = emission.config.get("num_speculative_tokens_per_batch_size")
    if len(set(chosen.gammas.values())) > 1:
        assert table == [[1, 4, chosen.gammas[1]], [5, 16, chosen.gammas[16]]]
    one = words(pairs[0], {1: 5, 16: 2, 32: 2}, "vllm")
    assert one.config["num_speculative_tokens_per_batch_size"] == [[1, 4, 5], [5, 32, 2]]
    assert words(pairs[0], {1: 0}, "vllm").command == ""


def test_bad_input_is_refused_by_name() -> None:
    for given, said in (
        ({"batches": (0,)}, "batch must be"),
        ({"gammas": (0, 1)}, "gamma must be"),
        ({"batches": (100_000,)}, "no draft can be tuned"),
        ({"seed": -1}, "seed must be"),
    ):
        with pytest.raises(ValueError, match=said):
            believed(AT, ["Qwen3-0.6B"], **given)
    with pytest.raises(ValueError, match="drafts must name"):
        believed(AT, [])
    for given, said in (((0.0, None), "tokens_per_s must"), ((9.0, 0.5), "tokens_per_step must")):
        with pytest.raises(ValueError, match=said):
            Seen(Point("", 0, 1), *given)
    with pytest.raises(ValueError, match="tolerance must"):
        tune(prior(), lambda p: Seen(p, 1.0), minutes=MINUTES, tolerance=0.0)
    with pytest.raises(ValueError, match="is not among what is tuned"):
        prior().given([Seen(Point("nobody", 1, 1), 5.0)], np.random.default_rng(0))
