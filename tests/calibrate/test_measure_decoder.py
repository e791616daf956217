"""Speculative decoding is plain decoding in law, and token for token where nothing is drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.measure.decoder import decode_plain, decode_speculative  # noqa: E402
from howspec.calibrate.measure.rejection import token_law  # noqa: E402
from howspec.calibrate.measure.runner import Runner  # noqa: E402
from small_models import llama  # noqa: E402

TARGET, DRAFT = llama(1, vocab_size=6), llama(2, vocab_size=6)


def _noisy(model: Any, share: float) -> Any:
    """A draft that often agrees with the model."""
    sizes = {"vocab_size": model.config.vocab_size, "hidden_size": model.config.hidden_size}
    return llama(9, like=model, share=1.0 - share, **sizes)


def _continuations(prompt: list[int], length: int, temperature: float) -> NDArray[np.float64]:
    """Exact probability of every continuation, from plain forwards of the target."""
    vocabulary = TARGET.config.vocab_size
    rows = list(itertools.product(range(vocabulary), repeat=length))
    ids = torch.tensor([[*prompt, *row] for row in rows])
    with torch.inference_mode():
        laws = token_law(TARGET(input_ids=ids).logits, temperature).double()
    steps = laws[:, len(prompt) - 1 : -1].gather(2, ids[:, len(prompt) :, None])[..., 0]
    return np.asarray(steps.prod(1).numpy())


def _counts(
    gamma: int, temperature: float, *, length: int, batch: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """(seen, expected) of every continuation of three prompts, and mean accepted in a round."""
    vocabulary = TARGET.config.vocab_size
    prompts = [[1, 4], [3], [0, 5, 2, 2]]
    target = Runner(TARGET, batch=batch, capacity=24)
    draft = Runner(_noisy(TARGET, 0.4), batch=batch, capacity=24)
    got = decode_speculative(
        target,
        draft,
        [prompts[b % 3] for b in range(batch)],
        gamma=gamma,
        new_tokens=length,
        temperature=temperature,
        seed=seed,
    )
    seen = np.zeros((3, vocabulary**length))
    places = np.array(got.tokens) @ vocabulary ** np.arange(length)[::-1]
    np.add.at(seen, (np.arange(batch) % 3, places), 1.0)
    expected = np.stack(
        [
            n * _continuations(p, length, temperature)
            for p, n in zip(prompts, seen.sum(1), strict=True)
        ]
    )
    mean = float(np.mean([a for row in got.accepted for a in row]))
    return seen.ravel(), expected.ravel(), mean


def _p_value(seen: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    from scipy.stats import chi2

    rare = expected < 8.0
    seen = np.append(seen[~rare], seen[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    statistic = float(((seen - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, seen.size - 3))


@pytest.mark.parametrize(
    ("gamma", "temperature", "length"), [(1, 1.0, 3), (2, 0.7, 3), (5, 1.0, 3)]
)
def test_speculative_decoding_has_the_law_of_the_target(
    gamma: int, temperature: float, length: int
) -> None:
    seen, expected, accepted = _counts(gamma, temperature, length=length, batch=10_000, seed=gamma)
    assert 0.2 * gamma < accepted < 0.95 * gamma  # both branches of the rule are at work
    assert _p_value(seen, expected) > 1e-4


def test_a_single_row_has_the_law_of_the_target() -> None:
    """One request at a time takes another way through the catching up than a batch does."""
    target, draft = (
        Runner(TARGET, batch=1, capacity=24),
        Runner(_noisy(TARGET, 0.4), batch=1, capacity=24),
    )
    vocabulary, prompt, length = TARGET.config.vocab_size, [1, 4], 4
    seen = np.zeros(vocabulary**2)
    for seed in range(400):
        got = decode_speculative(
            target, draft, [prompt], gamma=1, new_tokens=length, temperature=1.0, seed=seed
        )
        seen[got.tokens[0][2] * vocabulary + got.tokens[0][3]] += 1
    law = _continuations(prompt, length, 1.0).reshape(vocabulary**2, vocabulary**2).sum(0)
    assert _p_value(seen, seen.sum() * law) > 1e-4


def test_a_draft_that_was_not_caught_up_is_noticed_by_its_acceptance() -> None:
    """A wrong context of the draft costs acceptance, never the law."""
    batch = 3000
    target, draft = (Runner(TARGET, batch=batch, capacity=40) for _ in range(2))
    got = decode_speculative(
        target, draft, [[1, 2]] * batch, gamma=3, new_tokens=20, temperature=1.0, seed=1
    )
    assert all(a == 3 for row in got.accepted for a in row)


def _ties(model: Any, prompt: list[int], tokens: list[int], other: list[int]) -> int:
    """Where two continuations part, the logits of both tokens must be equal up to rounding."""
    if tokens == other:
        return 0
    at = next(i for i, (a, b) in enumerate(zip(tokens, other, strict=True)) if a != b)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *tokens[:at]]])).logits[0, -1]
    gap = abs(float(logits[tokens[at]] - logits[other[at]]))
    assert gap < 1e-4 * float(logits.abs().max()), f"parted at {at} by {gap}"
    return 1


@pytest.mark.parametrize("gamma", [1, 2, 4, 7])
@pytest.mark.parametrize("batch", [1, 5])
def test_at_temperature_zero_the_tokens_are_those_of_plain_decoding(gamma: int, batch: int) -> None:
    model = llama(3, vocab_size=64, hidden_size=32)
    rng = np.random.default_rng(gamma)
    prompts = [[int(t) for t in rng.integers(64, size=1 + 3 * b)] for b in range(batch)]
    target = Runner(model, batch=batch, capacity=96)
    draft = Runner(_noisy(model, 0.3), batch=batch, capacity=96)
    settings: dict[str, Any] = {"new_tokens": 60, "temperature": 0.0, "seed": 0}
    plain = decode_plain(target, prompts, **settings)
    got = decode_speculative(target, draft, prompts, gamma=gamma, **settings)
    parted = [
        _ties(model, p, a, b) for p, a, b in zip(prompts, plain.tokens, got.tokens, strict=True)
    ]
    assert sum(parted) <= 1
    if batch > 1:  # a single row may fall into a cycle that the draft knows, or does not
        assert 0 < np.mean([a for row in got.accepted for a in row]) < gamma
    for row, surplus, tokens in zip(got.accepted, got.surplus, got.tokens, strict=True):
        assert len(tokens) == 60
        assert 1 + sum(a + 1 for a in row) == 60 + surplus
        assert 0 <= surplus <= gamma


def test_the_same_seed_gives_the_same_tokens_and_another_one_others() -> None:
    target, draft = (Runner(m, batch=2, capacity=64) for m in (TARGET, DRAFT))
    settings: dict[str, Any] = {"new_tokens": 40, "temperature": 1.0}
    for decode in (
        partial(decode_plain, target, [[1], [2, 3]], **settings),
        partial(decode_speculative, target, draft, [[1], [2, 3]], gamma=2, **settings),
    ):
        first, again, other = (decode(seed=s) for s in (7, 7, 8))
        assert (first.tokens, first.accepted) == (again.tokens, again.accepted)
        assert first.tokens != other.tokens


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("broken", ["target", "draft"])
def test_logits_that_are_not_numbers_are_an_error(temperature: float, broken: str) -> None:
    bad = llama(1, vocab_size=6)
    with torch.no_grad():
        bad.lm_head.weight[2] = float("nan")
    models = {"target": TARGET, "draft": DRAFT, broken: bad}
    target, draft = (Runner(models[n], batch=1, capacity=32) for n in ("target", "draft"))
    with pytest.raises(ValueError, match=f"the {broken} gave logits that are not finite"):
        decode_speculative(
            target, draft, [[1]], gamma=2, new_tokens=8, temperature=temperature, seed=0
        )
    if broken == "target":
        with pytest.raises(ValueError, match="not finite"):
            decode_plain(target, [[1]], new_tokens=8, temperature=temperature, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": [[]]}, "prompt 0 is empty"),
        ({"prompts": [[1], [2]]}, "prompts must be 1, one a row, got 2"),
        ({"gamma": 0}, "gamma must be a whole number >= 1"),
        ({"new_tokens": 0}, "new_tokens must be a whole number >= 1"),
        ({"new_tokens": 40}, "capacity must be at least 43 tokens"),
        ({"temperature": -1.0}, "temperature must be 0 or in"),
    ],
)
def test_what_cannot_be_decoded_is_said(change: dict[str, Any], message: str) -> None:
    target, draft = (Runner(m, batch=1, capacity=32) for m in (TARGET, DRAFT))
    given: dict[str, Any] = {"prompts": [[1]], "gamma": 2, "new_tokens": 8, "temperature": 1.0}
    given |= change
    prompts: Sequence[Sequence[int]] = given.pop("prompts")
    with pytest.raises(ValueError, match=message):
        decode_speculative(target, draft, prompts, seed=0, **given)


def test_the_time_is_told_apart_by_the_clock_that_is_handed_in() -> None:
    """Each reading of the clock is one second later than the one before."""
    ticks = itertools.count()
    target, draft = (Runner(m, batch=1, capacity=64) for m in (TARGET, DRAFT))
    got = decode_speculative(
        target, draft, [[1, 2]], gamma=2, new_tokens=20, temperature=1.0, seed=0, timed=True,
        clock=lambda: float(next(ticks)),
    )  # fmt: skip
    rounds = len(got.accepted[0])
    assert got.prefill_s == 1.0
    assert got.parts_s == {
        "first_draft_s": 1.0 * rounds,
        "draft_s": 1.0 * rounds,
        "draw_s": 2.0 * rounds,
        "verify_s": rounds,
        "rule_s": rounds,
        "other_s": rounds,
    }
    assert got.decode_s == 7.0 * rounds + 2.0


def test_a_draft_with_padded_logits_decodes_over_the_common_vocabulary() -> None:
    padded = llama(2, vocab_size=9)
    target, draft = Runner(TARGET, batch=50, capacity=40), Runner(padded, batch=50, capacity=40)
    got = decode_speculative(
        target, draft, [[1, 2]] * 50, gamma=2, new_tokens=20, temperature=1.0, seed=0, vocabulary=5
    )
    tokens = {t for row in got.tokens for t in row}
    assert tokens == set(range(5))
