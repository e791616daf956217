"""Acceptance: overlap, the walk along a text, and rounds against both."""

from __future__ import annotations

import contextlib
import gc
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.measure import acceptance as module  # noqa: E402
from howspec.calibrate.measure.acceptance import (  # noqa: E402
    AcceptancePlan,
    measure_acceptance,
)
from howspec.calibrate.measure.decoder import decode_plain, decode_speculative  # noqa: E402
from howspec.calibrate.measure.inputs import (  # noqa: E402
    built_in_texts,
    encode_prompts,
    file_texts,
)
from howspec.calibrate.measure.overlap import Text, TextLaws  # noqa: E402
from howspec.calibrate.measure.runner import Runner  # noqa: E402
from howspec.calibrate.measure.walk import compare_record, compare_rounds, full_rounds, walk  # noqa: E402
from howspec.calibrate.records import Journal, Record, read_record  # noqa: E402
from small_models import llama  # noqa: E402

TARGET = llama(1)
DRAFTS = {"near": llama(2, like=TARGET, share=0.8), "far": llama(3, like=TARGET, share=0.4)}
PROMPTS = {
    "a": [[1, 2, 3], [4, 5], [6, 7, 8, 9]],
    "b": [[11, 12], [13], [14, 15, 16]],
}
PLAN = AcceptancePlan(temperatures=(0.0, 1.0), gamma=3, new_tokens=20, batch=2, seed=1)


def _journal(folder: Path) -> Journal:
    return Journal.open(
        folder, "acceptance", kind="acceptance", settings=asdict(PLAN), provenance={"seed": 1}
    )


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_overlap_and_ratio_are_those_of_plain_forwards(temperature: float) -> None:
    rng = np.random.default_rng(0)
    texts = [
        Text(rng.integers(40, size=n).tolist(), rng.integers(40, size=m).tolist())
        for n, m in ((1, 5), (4, 9), (3, 1))
    ]
    laws = TextLaws(TARGET, texts, temperature=temperature, memory_bytes=10_000)
    found = laws.overlaps(DRAFTS["near"])
    entropies = laws.entropies()
    for text, got, entropy in zip(texts, found, entropies, strict=True):
        ids = torch.tensor([[*text.prompt, *text.tokens]])
        with torch.inference_mode():
            p, q = (m(input_ids=ids).logits[0].double() for m in (TARGET, DRAFTS["near"]))
        for i, token in enumerate(text.tokens):
            at = len(text.prompt) - 1 + i
            if temperature == 0.0:
                assert got[0][i] == float(p[at].argmax() == q[at].argmax())
                assert got[1][i] == float(q[at].argmax() == token)
                law = p[at].softmax(-1)
            else:
                law, other = ((x[at] / temperature).softmax(-1) for x in (p, q))
                assert got[0][i] == pytest.approx(float(torch.minimum(law, other).sum()), abs=1e-5)
                assert got[1][i] == pytest.approx(
                    min(1.0, float(other[token] / law[token])), rel=1e-4
                )
            assert entropy[i] == pytest.approx(float(-(law * law.log()).sum()), abs=1e-4)


def _simulated_walk(
    rng: np.random.Generator, ratio: np.ndarray, gamma: int, runs: int
) -> tuple[float, float]:
    """(rounds, accepted) a run, of rounds that start gamma tokens before the end."""
    rounds = accepted = 0
    for _ in range(runs):
        s = 1
        while s + gamma <= ratio.size:
            k = 0
            while k < gamma and rng.random() < ratio[s + k]:
                k += 1
            rounds, accepted, s = rounds + 1, accepted + k, s + k + 1
    return rounds / runs, accepted / runs


def test_the_walk_agrees_with_walking() -> None:
    rng = np.random.default_rng(5)
    ratio = rng.beta(0.7, 0.5, size=30)
    found = walk(ratio, ratio, 4)
    runs = 4000
    rounds, accepted = _simulated_walk(rng, ratio, 4, runs)
    # A run has at most 26 rounds of at most 4 accepted tokens; the spread is well below that.
    assert rounds == pytest.approx(found.rounds, abs=4 * 3.0 / runs**0.5)
    assert accepted == pytest.approx(found.tokens_accepted, abs=4 * 4.0 / runs**0.5)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=25), st.integers(1, 6), st.integers(0, 2**31)
)
def test_a_walk_starts_at_most_one_round_at_a_position(
    ratio: list[float], gamma: int, seed: int
) -> None:
    found = walk(ratio, ratio, gamma)
    assert (found.starts >= 0.0).all()
    assert (found.starts <= 1.0 + 1e-12).all()
    assert (found.accepted >= 0.0).all()
    assert (found.accepted <= gamma + 1e-12).all()
    certain = [float(x) for x in np.random.default_rng(seed).integers(2, size=len(ratio))]
    rounds, accepted = _simulated_walk(np.random.default_rng(0), np.array(certain), gamma, 1)
    sure = walk(certain, certain, gamma)
    assert (sure.rounds, sure.tokens_accepted) == (rounds, accepted)


def test_rounds_near_the_end_are_left_out_as_in_the_walk() -> None:
    assert full_rounds([2, 0, 3], tokens=12, gamma=3) == (3, 5)
    assert full_rounds([2, 0, 3], tokens=7, gamma=3) == (2, 2)
    assert full_rounds([2, 0, 3], tokens=6, gamma=3) == (1, 2)
    assert full_rounds([2, 0, 3], tokens=3, gamma=3) == (0, 0)


def _comparison(draft: Any, *, batch: int, seed: int, gamma: int = 4) -> Any:
    prompts = [[b % 40, 3 * b % 40] for b in range(batch)]
    target = Runner(TARGET, batch=batch, capacity=60)
    got = decode_speculative(
        target, Runner(draft, batch=batch, capacity=60), prompts, gamma=gamma, new_tokens=40,
        temperature=1.0, seed=seed,
    )  # fmt: skip
    plain = decode_plain(target, prompts, new_tokens=40, temperature=1.0, seed=seed + 1)
    texts = [Text(p, t) for p, t in zip(prompts, plain.tokens, strict=True)]
    along = TextLaws(TARGET, texts, temperature=1.0).overlaps(draft)
    return compare_rounds(got.accepted, [r for _, r in along], [o for o, _ in along], gamma=gamma)


@pytest.mark.parametrize("draft", ["near", "far"])
def test_real_rounds_are_those_that_overlap_tells(draft: str) -> None:
    found = _comparison(DRAFTS[draft], batch=600, seed=4)
    assert abs(found.z) < 4.0
    assert found.spread < 0.02 * found.measured


def test_a_draft_that_is_good_in_places_shows_the_bias_that_the_walk_removes() -> None:
    """A draft that knows half of the contexts: rounds start more often where it fails."""

    class HalfBlind(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = TARGET
            self.config = TARGET.config

        def forward(self, input_ids: Any, **given: Any) -> Any:
            out = self.model(input_ids=input_ids, **given)
            hard = (input_ids % 2 == 0)[..., None]
            out.logits = torch.where(hard, out.logits.flip(-1), out.logits)
            return out

        def get_input_embeddings(self) -> Any:
            return self.model.get_input_embeddings()

        def get_output_embeddings(self) -> Any:
            return self.model.get_output_embeddings()

    found = _comparison(HalfBlind(), batch=1500, seed=8)
    assert abs(found.z) < 4.0
    assert found.uniform - found.measured > 4.0 * found.spread


def test_wrong_overlaps_are_noticed() -> None:
    real = [[1, 0, 2, 1, 0, 0, 3, 1, 0, 1]] * 20
    flat = [[0.9] * 30] * 20
    found = compare_rounds([r[: 5 + i % 5] for i, r in enumerate(real)], flat, flat, gamma=3)
    assert abs(found.z) > 4.0


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """All of the plan, measured without a stop."""
    seen: list[int] = []
    with _journal(tmp_path_factory.mktemp("whole")) as journal:
        assert measure_acceptance(
            TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN,
            progress=lambda what, done, total: seen.append(done),
        )  # fmt: skip
        assert seen == sorted(seen)
        return read_record(journal.finish())


def test_every_point_is_measured_once(record: Record) -> None:
    kinds = [p["type"] for p in record.points]
    assert (kinds.count("text"), kinds.count("rounds"), kinds.count("overlap")) == (12, 24, 24)
    for point in record.points:
        assert "error" not in point
        if point["type"] == "overlap":
            assert len(point["overlap"]) == len(point["ratio"]) == 20
        if point["type"] == "rounds":
            accepted = point["accepted"]
            assert 1 + len(accepted) + sum(accepted) == 20 + point["surplus_tokens"]
    found = compare_record(record)
    assert found["near", 1.0, None].measured > found["far", 1.0, None].measured
    assert {d for _, _, d in found} == {"a", "b", None}


def test_a_measurement_cut_off_anywhere_goes_on_to_the_same_points(
    tmp_path: Path, record: Record
) -> None:
    whole = {json.dumps(p, sort_keys=True) for p in record.points}
    rng = np.random.default_rng(3)
    pieces = 0
    done = False
    while not done:
        with _journal(tmp_path / "pieces") as journal:
            budget = [int(rng.integers(1, 5))]
            append = journal.append

            def limited(point: Any, append: Any = append, odd: int = pieces % 2) -> None:
                """Break off in the middle of a batch, as a kill does."""
                if odd and rng.random() < 0.1:
                    raise KeyboardInterrupt
                append(point)

            def left(budget: list[int] = budget) -> float:
                budget[0] -= 1
                return float(budget[0])

            journal.append = limited  # type: ignore[method-assign]
            with contextlib.suppress(KeyboardInterrupt):
                done = measure_acceptance(
                    TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN, seconds_left=left
                )
            found = [json.dumps(p, sort_keys=True) for p in journal.points]
        pieces += 1
    assert pieces > 3
    assert len(found) == len(set(found))
    assert set(found) == whole


def test_a_draft_that_runs_out_of_memory_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.decode_speculative

    def greedy(target: Any, draft: Any, *given: Any, **more: Any) -> Any:
        if draft.model is DRAFTS["far"]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(target, draft, *given, **more)

    monkeypatch.setattr(module, "decode_speculative", greedy)
    collected: list[int] = []  # among all tests' objects that takes a second
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    with _journal(tmp_path) as journal:
        assert measure_acceptance(TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN)
        points = journal.points
    failed = [p for p in points if "error" in p]
    assert {(p["type"], p["draft"], p["error"]) for p in failed} == {
        ("rounds", "far", "out of memory")
    }
    assert len(failed) == 12
    assert collected  # memory is freed before the next point


def _words(text: str) -> dict[str, list[int]]:
    return {"input_ids": [len(w) for w in text.split()]}


def test_the_built_in_prompts_are_ten_for_each_domain() -> None:
    texts = built_in_texts()
    assert list(texts) == ["prose", "documentation", "arithmetic", "code", "chat"]
    assert all(len(set(rows)) == 10 for rows in texts.values())
    encoded = encode_prompts(texts, _words, count=4, tokens=3)
    assert all(len(row) == 3 for rows in encoded.values() for row in rows)


def test_prompts_are_read_from_files(tmp_path: Path) -> None:
    import gzip

    lines = [{"turns": ["one two", "three"], "domain": "x"}, {"turns": "four five six"}]
    (tmp_path / "p.jsonl.gz").write_bytes(
        gzip.compress("\n".join(json.dumps(x) for x in lines).encode())
    )
    (tmp_path / "q.txt").write_text("first\nparagraph\n\n\nsecond\n")
    assert file_texts(tmp_path / "p.jsonl.gz", field="turns") == {
        "x": ["one two"],
        "p": ["four five six"],
    }
    assert file_texts(tmp_path / "q.txt") == {"q": ["first\nparagraph", "second"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}', "line 1: has no field 'prompt', it has text"),
        ('{"prompt": "a"}\n{"prompt": " "}', "line 2: prompt is empty"),
        ('{"prompt": 3}', "line 1: prompt must be text, got int"),
        ("[1]", "line 1: must be an object, got list"),
        ("{", "line 1: is not JSON"),
        ("", r"p\.jsonl: holds no prompt"),
    ],
)
def test_a_bad_file_of_prompts_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        file_texts(path)


def test_a_prompt_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt 2 of domain x is empty"):
        encode_prompts({"x": ["a", ""]}, _words)
    with pytest.raises(ValueError, match="domain x has 1 prompts, 2 were asked for"):
        encode_prompts({"x": ["a"]}, _words, count=2)


def test_prompts_may_hold_marks_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + json.dumps({"prompt": "one \u2028 two", "domain": None}, ensure_ascii=False).encode()
        + b"\r\n"
        + json.dumps({"prompt": "three", "domain": 7}).encode()
    )
    assert file_texts(path) == {"p": ["one \u2028 two"], "7": ["three"]}
    path.write_text('{"prompt": "a", "domain": ["x"]}')
    with pytest.raises(ValueError, match="line 1: domain must be text, got list"):
        file_texts(path)
    with pytest.raises(ValueError, match="prompt 1 of domain x holds half a character"):
        encode_prompts({"x": ["a \ud800 b"]}, _words)


def test_a_point_is_that_of_its_own_prompt(record: Record) -> None:
    """Requests are measured in batches; at temperature 0 each must come out as it would alone."""
    points = [p for p in record.points if p["temperature"] == 0.0]
    target, draft = (Runner(m, batch=1, capacity=40) for m in (TARGET, DRAFTS["near"]))
    common: dict[str, Any] = {"new_tokens": 20, "temperature": 0.0, "seed": 0}
    for point in points:
        prompt = PROMPTS[point["domain"]][point["request"]]
        if point["type"] == "text":
            assert point["prompt"] == prompt
            assert point["tokens"] == decode_plain(target, [prompt], **common).tokens[0]
        elif point["type"] == "rounds" and point["draft"] == "near":
            got = decode_speculative(target, draft, [prompt], gamma=3, **common)
            assert point["accepted"] == got.accepted[0]
        elif point["draft"] == "near":
            text = Text(prompt, decode_plain(target, [prompt], **common).tokens[0])
            (alone,) = TextLaws(TARGET, [text], temperature=0.0).overlaps(DRAFTS["near"])
            assert point["ratio"] == alone[1]
