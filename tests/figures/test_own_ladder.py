"""The bundled ladder: what it measured is predicted from its parts, and its figures hold that."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from howspec.calibrate.library.own import (
    OwnCampaign,
    campaign_names,
    load_campaign,
    read_campaign,
)
from howspec.calibrate.measured import measured_cost, pass_law, rounds_of, sizes
from howspec.calibrate.measured.ladder import (
    Predicted,
    predict_ladder,
    request_tokens,
)
from howspec.calibrate.records import write_record
from howspec.figures.draw import OwnLadder, draw, ladder_figures
from howspec.figures.own_ladder import size_study
from howspec.figures.validation.ladder import campaign_test, leave_one_draft_out
from howspec.theory.requests import rounds_moments


@pytest.fixture(scope="module")
def ladder() -> OwnCampaign:
    return load_campaign("cpu")


@pytest.fixture(scope="module")
def predicted(ladder: OwnCampaign) -> tuple[Predicted, ...]:
    return predict_ladder(ladder)


def test_a_campaign_is_bundled_and_an_unknown_one_is_named() -> None:
    assert "cpu" in campaign_names()
    with pytest.raises(ValueError, match=r"campaign must be one of .*cpu.*, got 'tpu'"):
        load_campaign("tpu")


def test_held_out_loss_falls_with_size_along_the_ladder(ladder: OwnCampaign) -> None:
    chain = [m for m in ladder.models.values() if m["role"] in ("target", "ladder")]
    chain.sort(key=lambda m: -m["parameters"])
    losses = [m["held_out"]["loss_nats"] for m in chain]
    assert losses == sorted(losses)
    assert chain[0]["role"] == "target"
    assert chain[0]["parameters"] / chain[-1]["parameters"] > 500


def test_a_folder_without_a_record_is_one_line(ladder: OwnCampaign, tmp_path: Path) -> None:
    write_record(ladder.costs, tmp_path / "costs.json.gz")
    with pytest.raises(ValueError, match=r"holds no record acceptance\.json"):
        read_campaign(tmp_path)


def test_predictions_are_nearer_than_the_plain_formula_and_find_the_best_draft(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...]
) -> None:
    test = campaign_test(ladder, predicted)
    drafts = len(ladder.roles) - 1
    assert (len(predicted), len(test.points), len(test.regret)) == (drafts, 7 * drafts, drafts)
    own, plain = (float(np.abs(test.errors(name)).mean()) for name in (None, "plain formula"))
    assert own < 0.05
    assert own < 0.25 * plain
    assert "best draft predicted draft-430k-depth1" in test.notes[1]


def test_passes_alone_are_summed_and_rounds_that_were_timed_take_longer(
    ladder: OwnCampaign,
) -> None:
    draft = ladder.drafts[-1]
    survival = rounds_of(ladder.acceptance, draft, temperature=1.0).survival()
    cost = measured_cost(ladder.costs, ladder.target, draft, whole=survival)
    target, small = pass_law(ladder.costs, ladder.target), pass_law(ladder.costs, draft)
    at = {"batch": 1.0, "context": 112.0}
    first, second = small.step_time(np.array([1.0, 2.0]), **at)
    verify = target.step_time(np.array([5.0]), **at)[0]
    rule = cost.rule_s[4]
    whole = float(survival[4]) * (second - first)
    expected = verify + 4 * (first + cost.draw_s) + rule + whole
    alone = replace(cost, rounds=None)
    assert alone.round_time(4, context=112.0)[4] == pytest.approx(expected, rel=1e-12)
    timed = (cost.round_time(4, context=112.0), alone.round_time(4, context=112.0))
    passes = (cost.draft_time(4, context=112.0), alone.draft_time(4, context=112.0))
    # The first draft pass of a round finds its weights where the target left them.
    assert passes[0][1] > 1.2 * passes[1][1]
    assert (timed[0] / timed[0][0])[1] > (timed[1] / timed[1][0])[1]


def test_the_law_of_size_is_fitted_without_bias_of_its_spread() -> None:
    """Left out of a ladder drawn from the law, a draft falls into its interval as often as said."""
    rng = np.random.default_rng(23)
    x, d = np.linspace(-6.4, -2.2, 10), rng.normal(0.0, 0.4, 10)
    features = np.stack([np.ones(10), x, x * x, d, d * d], axis=-1)
    for scatter in (0.05, 0.2):
        inside = 0
        for _ in range(40):
            values = features @ rng.normal(0.0, sizes.PRIOR) + rng.normal(0.0, scatter, 10)
            for i in range(10):
                rest = np.arange(10) != i
                line = sizes.regress(features[rest], values[rest], rng)
                low, high = np.quantile(line.at(features[[i]], rng)[:, 0], (0.05, 0.95))
                inside += low <= values[i] <= high
        assert 0.83 <= inside / 400 <= 0.97


def test_latency_over_plain_counts_the_rounds_of_a_finite_request(ladder: OwnCampaign) -> None:
    survival = np.array([[[1.0, 0.8, 0.6, 0.5], [1.0, 0.3, 0.1, 0.0]]])
    rounds = np.array([[[1.0, 1.3, 1.5, 1.8], [1.0, 1.2, 1.4, 1.6]]])
    found = sizes.latency_over_plain(ladder, survival, rounds)
    tokens = request_tokens(ladder)
    for draft in (0, 1):
        assert found[0, draft, 0] == 1.0
        for gamma in (1, 2, 3):
            cut = survival[0, draft, : gamma + 1]
            exact, _ = rounds_moments(np.append(-np.diff(cut), cut[-1]), tokens)
            expected = float(exact) * rounds[0, draft, gamma] / tokens
            assert found[0, draft, gamma] == pytest.approx(expected, rel=1e-4)


def test_left_out_drafts_are_not_in_their_own_law(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...]
) -> None:
    alpha, gain = leave_one_draft_out(ladder, predicted)
    index = 3
    changed = replace(predicted[index], survival=predicted[index].survival ** 2)
    others = (*predicted[:index], changed, *predicted[index + 1 :])
    again, _ = leave_one_draft_out(ladder, others)
    assert again.points[index].predicted == alpha.points[index].predicted
    assert again.points[index].observed != alpha.points[index].observed
    assert again.points[index + 1].predicted != alpha.points[index + 1].predicted
    assert len(gain.points) == len(predicted)


def test_the_law_of_size_meets_the_drafts_it_was_fitted_to(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...]
) -> None:
    rng = np.random.default_rng(1)
    law = sizes.fit_sizes(ladder, predicted, rng)
    size = np.array([float(ladder.parameters[p.draft]) for p in predicted])
    layers = np.array([float(ladder.layers[p.draft]) for p in predicted])
    found = np.median(law.survival(size, layers, rng, own=False), axis=0)
    seen = np.array([p.survival for p in predicted])
    assert np.abs(found[:, 1] - seen[:, 1]).mean() < 0.03
    rounds = np.median(law.drafting.at(size, layers, rng, own=False), axis=0)
    timed = np.array([p.rounds for p in predicted])
    assert (rounds[:, 0] == 1.0).all()
    assert np.abs(rounds / timed - 1.0).mean() < 0.05


def test_the_turning_point_is_where_the_law_is_lowest(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...]
) -> None:
    study = size_study(ladder, predicted)
    turn = study.turning_point
    assert turn.low <= turn.estimate <= turn.high
    assert study.center[np.flatnonzero(study.grid == turn.estimate)[0]] == study.center.min()
    assert (study.low <= study.center).all()
    assert (study.center <= study.high).all()


def test_figures_are_drawn_with_the_numbers_behind_them(
    ladder: OwnCampaign, tmp_path: Path
) -> None:
    written = draw(ladder_figures(OwnLadder(ladder), "cpu"), tmp_path)
    assert {p.name for p in written} == {
        f"cpu_{what}{rest}"
        for what in ("grid", "scale", "depth")
        for rest in (".pdf", ".png", ".csv", "_caption.tex")
    }
    with (tmp_path / "cpu_grid.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(0.1 < float(r["measured"]) < 10 for r in rows)
    assert sum(r["gamma"] == "0" for r in rows) == len({r["draft"] for r in rows})
    with (tmp_path / "cpu_depth.csv").open(encoding="utf-8", newline="") as file:
        depths = [int(r["layers"]) for r in csv.DictReader(file)]
    assert depths == sorted(depths)
    assert len(set(depths)) == 3


def test_features_are_the_powers_of_ln_scale_and_depth_beyond_the_usual(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...]
) -> None:
    law = sizes.fit_sizes(ladder, predicted, np.random.default_rng(2))
    size = np.array([law.target_parameters * np.exp(-4.0)])
    usual = law.usual_layers(size)
    middle = law.features(size, usual)
    np.testing.assert_allclose(middle, [[1.0, -4.0, 16.0, 0.0, 0.0]], atol=1e-12)
    deep = law.features(size, usual * np.exp(0.5))
    np.testing.assert_allclose(deep, [[1.0, -4.0, 16.0, 0.5, 0.25]], atol=1e-12)
