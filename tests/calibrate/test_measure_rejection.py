"""The rejection rule: its law by exact enumeration, and its edges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from howspec.calibrate.measure.rejection import (  # noqa: E402
    draw,
    token_law,
    verify,
)

Floats = NDArray[np.float64]


def _laws(rng: np.random.Generator, rows: int, vocabulary: int, spread: float) -> Floats:
    logits = rng.normal(size=(rows, vocabulary)) * spread
    law: Floats = np.exp(logits - logits.max(-1, keepdims=True))
    return law / law.sum(-1, keepdims=True)


def _round_law(p: Floats, q: Floats) -> dict[tuple[int, ...], float]:
    """Law of (accepted, next token) by the definition, position by position."""
    gamma, vocabulary = q.shape
    law: dict[tuple[int, ...], float] = {}
    for drafted in itertools.product(range(vocabulary), repeat=gamma):
        reach = float(np.prod([q[k, x] for k, x in enumerate(drafted)]))
        for k, x in enumerate(drafted):
            stand = min(1.0, p[k, x] / q[k, x])
            residual = np.maximum(p[k] - q[k], 0.0)
            if stand < 1.0:
                for y in range(vocabulary):
                    key = (*drafted[:k], y)
                    mass = reach * (1.0 - stand) * residual[y] / residual.sum()
                    law[(k, *key)] = law.get((k, *key), 0.0) + mass
            reach *= stand
        for y in range(vocabulary):
            law[(gamma, *drafted, y)] = law.get((gamma, *drafted, y), 0.0) + reach * p[gamma, y]
    return law


def _chi_square(counts: Floats, expected: Floats) -> float:
    from scipy.stats import chi2

    rare = expected < 8.0
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    use = expected > 0.0
    assert not counts[~use].any()
    statistic = float(((counts[use] - expected[use]) ** 2 / expected[use]).sum())
    return float(chi2.sf(statistic, use.sum() - 1))


def _sampled(
    p: Floats, q: Floats, *, rows: int, seed: int, temperature: float = 1.0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    generator = torch.Generator().manual_seed(seed)
    gamma, vocabulary = q.shape
    law = torch.tensor(q, dtype=torch.float32).expand(rows, gamma, vocabulary)
    u = torch.rand(rows, 2 * gamma + 1, dtype=torch.float64, generator=generator)
    tokens = torch.stack([draw(law[:, k], u[:, k])[0] for k in range(gamma)], 1)
    logits = torch.tensor(np.log(p) * temperature, dtype=torch.float32)
    verdict = verify(
        law,
        logits.expand(rows, gamma + 1, vocabulary),
        draft_tokens=tokens,
        uniforms=u[:, gamma:],
        temperature=temperature,
    )
    assert bool(verdict.sound.all())
    return verdict.accepted.numpy(), verdict.token.numpy(), tokens.numpy()


@pytest.mark.parametrize(
    ("gamma", "temperature", "spread"), [(1, 1.0, 1.0), (2, 0.7, 2.0), (3, 1.0, 0.5)]
)
def test_a_round_has_the_law_of_the_definition(
    gamma: int, temperature: float, spread: float
) -> None:
    rng = np.random.default_rng(gamma)
    p, q = _laws(rng, gamma + 1, 4, spread), _laws(rng, gamma, 4, spread)
    rows = 60_000
    accepted, token, drafted = _sampled(p, q, rows=rows, seed=5, temperature=temperature)
    law = _round_law(p, q)
    keys = {key: i for i, key in enumerate(law)}
    counts = np.zeros(len(keys))
    for a, y, x in zip(accepted, token, drafted, strict=True):
        counts[keys[(int(a), *map(int, x[:a]), int(y))]] += 1
    expected = rows * np.array(list(law.values()))
    assert _chi_square(counts, expected) > 1e-4


@given(
    st.integers(1, 6), st.integers(2, 9), st.integers(1, 5), st.integers(0, 2**31), st.booleans()
)
def test_accepted_is_a_leading_run_and_the_next_token_has_residual_mass(
    gamma: int, vocabulary: int, batch: int, seed: int, sharp: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scale = 20.0 if sharp else 1.0
    target = torch.randn(batch, gamma + 1, vocabulary, generator=generator) * scale
    q = token_law(torch.randn(batch, gamma, vocabulary, generator=generator) * scale, 1.0)
    u = torch.rand(batch, 2 * gamma + 1, dtype=torch.float64, generator=generator)
    tokens = torch.stack([draw(q[:, k], u[:, k])[0] for k in range(gamma)], 1)
    accepted, token, sound = verify(
        q, target, draft_tokens=tokens, uniforms=u[:, gamma:], temperature=1.0
    )
    p = token_law(target, 1.0)
    assert bool(sound.all())
    for b in range(batch):
        stands = [
            float(u[b, gamma + k] * q[b, k, tokens[b, k]]) < float(p[b, k, tokens[b, k]])
            for k in range(gamma)
        ]
        run = next((k for k, s in enumerate(stands) if not s), gamma)
        assert int(accepted[b]) == run
        here = p[b, run].clone()
        if run < gamma:
            here -= q[b, run]
        if float(here.clamp_min(0).sum()) > 1e-12:
            assert float(here[token[b]]) > 0.0


def test_a_residual_without_mass_falls_back_to_the_target() -> None:
    """Rejected although p equals q everywhere else: nothing is left to draw from."""
    logits = torch.tensor([[[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]])
    p = token_law(logits, 1.0)
    q = p[:, :1].clone()
    q[0, 0, 0] *= 1.5  # more than p at the token drawn, never less
    verdict = verify(
        q,
        logits,
        draft_tokens=torch.tensor([[0]]),
        uniforms=torch.tensor([[0.99, 0.5]], dtype=torch.float64),
        temperature=1.0,
    )
    assert int(verdict.accepted) == 0
    assert bool(verdict.sound)
    assert int(verdict.token) == int(draw(p[:, 0], torch.tensor([0.5], dtype=torch.float64))[0])


def test_a_draft_token_that_the_target_excludes_never_stands() -> None:
    logits = torch.tensor([[[float("-inf"), 0.0], [0.0, 0.0]]])
    q = torch.tensor([[[1.0, 0.0]]])
    u = torch.tensor([[0.0, 0.3]], dtype=torch.float64)
    verdict = verify(q, logits, draft_tokens=torch.tensor([[0]]), uniforms=u, temperature=1.0)
    assert (int(verdict.accepted), int(verdict.token)) == (0, 1)


def test_a_token_that_the_draft_excludes_stands_where_the_target_has_it() -> None:
    """The draft cannot draw it; handed in all the same, its ratio is infinite."""
    logits = torch.zeros(1, 2, 2)
    q = torch.tensor([[[1.0, 0.0]]])
    u = torch.tensor([[0.999, 0.1]], dtype=torch.float64)
    verdict = verify(q, logits, draft_tokens=torch.tensor([[1]]), uniforms=u, temperature=1.0)
    assert (int(verdict.accepted), int(verdict.token)) == (1, 0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_numbers_are_reported(temperature: float) -> None:
    logits = torch.zeros(2, 3, 4)
    logits[1, 0, 2] = float("nan")
    q = torch.full((2, 2, 4), 0.25)
    u = torch.full((2, 3), 0.5, dtype=torch.float64)
    tokens = torch.zeros(2, 2, dtype=torch.int64)
    verdict = verify(q, logits, draft_tokens=tokens, uniforms=u, temperature=temperature)
    assert verdict.sound.tolist() == [True, False]


def test_at_temperature_zero_the_largest_logit_decides() -> None:
    logits = torch.zeros(3, 3, 5)
    for b, row in enumerate([(1, 2, 3), (1, 2, 3), (4, 2, 3)]):
        for k, x in enumerate(row):
            logits[b, k, x] = 1.0
    tokens = torch.tensor([[1, 2], [1, 0], [1, 2]])
    verdict = verify(None, logits, draft_tokens=tokens, uniforms=None, temperature=0.0)
    assert verdict.accepted.tolist() == [2, 1, 0]
    assert verdict.token.tolist() == [3, 2, 4]


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, 1.0 - 2.0**-53])
def test_a_draw_never_returns_a_token_of_probability_zero(uniform: float) -> None:
    weights = torch.tensor([[0.0, 0.3, 0.0, 0.1, 0.0]])
    token, total = draw(weights, torch.tensor([uniform], dtype=torch.float64))
    assert float(weights[0, token]) > 0.0
    assert float(total) == pytest.approx(0.4)
