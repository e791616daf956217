"""Tokens per round on recorded requests: what a walk at gamma = 3 says about every other gamma."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    DepthAcceptance,
    estimate_alpha,
    fit_beta_request,
    fit_markov,
    start_position_bias,
    tokens_by_gamma,
    walk_counts,
)

GAMMAS = np.arange(1, 13)


def _folder() -> Path:
    for parent in Path(__file__).resolve().parents:
        for found in (parent / "shared" / "traces", parent.parent / "shared" / "traces"):
            if found.is_dir():
                return found
    pytest.skip("no recorded traces beside the project")


@cache
def _requests(data: str, drafter: str) -> tuple[tuple[int, ...], ...]:
    path = _folder() / f"llama31-8b-{data}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no {path.name} among the recorded traces")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return tuple(tuple(json.loads(line)[f"accept_len_{drafter}"]) for line in lines)


def _truth(rows: tuple[tuple[int, ...], ...]) -> np.ndarray:
    return np.array([1 + walk_counts(rows, int(g)).accepted.mean() for g in GAMMAS])


@pytest.mark.parametrize("data", ["cnn", "gsm8k"])
def test_bursty_acceptance_predicts_an_ngram_drafter_within_half_a_percent(data: str) -> None:
    rows = _requests(data, "ngram")
    truth, counts = _truth(rows), walk_counts(rows, 3)
    chain = tokens_by_gamma(fit_markov(counts), 12)[1:] / truth - 1
    flat = tokens_by_gamma(DepthAcceptance(estimate_alpha(counts).alpha), 12)[1:] / truth - 1
    assert abs(chain).max() < 0.005
    assert abs(chain).max() < 0.25 * abs(flat).max()


@pytest.mark.parametrize("data", ["cnn", "gsm8k"])
def test_one_rate_on_visited_rounds_predicts_eagle_within_five_percent(data: str) -> None:
    rows = _requests(data, "eagle")
    truth, counts = _truth(rows), walk_counts(rows, 3)
    flat = tokens_by_gamma(DepthAcceptance(estimate_alpha(counts).alpha), 12)[1:] / truth - 1
    assert abs(flat).max() < 0.05
    assert abs(flat[:8]).max() < 0.03


@pytest.mark.parametrize(
    ("data", "drafter", "low", "high"),
    [
        ("cnn", "eagle", 0.08, 0.11),
        ("gsm8k", "eagle", 0.06, 0.08),
        ("cnn", "ngram", 0.40, 0.48),
        ("gsm8k", "ngram", 0.16, 0.20),
    ],
)
def test_averaging_every_position_overstates_tokens(
    data: str, drafter: str, low: float, high: float
) -> None:
    assert low < start_position_bias(_requests(data, drafter), 5) < high


@pytest.mark.parametrize(("data", "drafter"), [("cnn", "eagle"), ("gsm8k", "ngram")])
def test_requests_differ_more_than_chance_and_a_beta_law_sees_it(data: str, drafter: str) -> None:
    counts = walk_counts(_requests(data, drafter), 3)
    assert estimate_alpha(counts).design_effect > 4
    law = fit_beta_request(counts)
    assert isinstance(law, BetaRequestAcceptance)
    assert float(np.asarray(law.shape_accept) + np.asarray(law.shape_reject)) < 150
