"""The parts of a family's training: text by domain, batches by position, Muon, the schedule."""

from __future__ import annotations

import gzip
import json
import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from howspec.calibrate.family.batches import MOST_EPOCHS, Batches, encode, shares, train_tokenizer  # noqa: E402  # noqa: E402
from howspec.calibrate.family.corpus import (  # noqa: E402
    CHUNK_CHARS,
    Domain,
    chunks,
    domain_name,
    folder_domains,
    read_domains,
    standard_library,
)
from howspec.calibrate.family.models import new_model  # noqa: E402
from howspec.calibrate.family.shapes import Preset, Shape, preset_named  # noqa: E402
from howspec.calibrate.family.training import WARM_UP, Muon, Training, orthogonalised  # noqa: E402  # noqa: E402

# Text


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("prose.txt.xz", "prose"),
        ("docs.txt.xz", "documentation"),
        ("gsm8k_train.jsonl.xz", "arithmetic"),
        ("My Letters.md", "my-letters"),
        ("notes.txt.gz", "notes"),
    ],
)
def test_a_file_names_its_domain(file: str, name: str) -> None:
    assert domain_name(Path(file)) == name


def test_prompts_readmes_and_other_kinds_of_file_are_not_trained_on(tmp_path: Path) -> None:
    for name in (
        "README.md", "gsm8k_test.jsonl", "HumanEval.jsonl", "mt_bench_question.jsonl", "a.csv",
        ".hidden.txt",
    ):  # fmt: skip
        (tmp_path / name).write_text("nothing that could be read as this kind of file")
    with pytest.raises(ValueError, match="--text holds no file to train on"):
        folder_domains(tmp_path)
    (tmp_path / "latest.txt").write_text("word")
    assert [d.name for d in folder_domains(tmp_path)] == ["latest"]


def test_compressed_files_read_like_plain_ones(tmp_path: Path) -> None:
    text = "Häuser am Fluß.\n\nEin zweiter Absatz."
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress(text.encode()))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert [d.documents for d in folder_domains(tmp_path)] == [(text,)] * 3


def test_a_sub_folder_is_one_domain_and_many_files_are_one(tmp_path: Path) -> None:
    (tmp_path / "letters" / "old").mkdir(parents=True)
    (tmp_path / "letters" / "a.txt").write_text("a")
    (tmp_path / "letters" / "old" / "b.txt").write_text("b")
    (tmp_path / "c.txt").write_text("c")
    assert {d.name: d.documents for d in folder_domains(tmp_path)} == {
        "letters": ("a", "b"),
        "c": ("c",),
    }
    for i in range(9):
        (tmp_path / f"file{i}.txt").write_text(f"{i}")
    names = [d.name for d in folder_domains(tmp_path)]
    assert len(names) == 2
    assert "letters" in names


@pytest.mark.parametrize(
    ("record", "document"),
    [
        ({"question": "Q?", "answer": "A."}, "Q?\nA."),
        ({"prompt": "def f():\n", "canonical_solution": "    pass\n"}, "def f():\n    pass"),
        ({"text": "only"}, "only"),
        ({"turns": ["first", "second"]}, "first\nsecond"),
    ],
)
def test_records_become_documents(tmp_path: Path, record: dict[str, object], document: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(record) + "\n\n" + json.dumps(record))
    assert folder_domains(tmp_path)[0].documents == (document, document)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b'{"text": "a"}\n{"text"', "x.jsonl, line 2: is not JSON"),
        ("x.jsonl", b'{"id": 1}', "x.jsonl, line 1: has none of the fields"),
        ("x.txt", b"\xff\xfe\x00", "x.txt: cannot be read as text"),
        ("x.txt.xz", b"not xz at all", "x.txt.xz: cannot be read as text"),
        ("x.txt.xz", lzma.compress(b"words " * 999)[:-20], "x.txt.xz: cannot be read as text"),
        (
            "x.txt.gz",
            gzip.compress(b"words " * 999, mtime=0)[:-20],
            "x.txt.gz: cannot be read as text",
        ),
        ("x.txt", b"  \n \n", "domain x holds no text"),
    ],
)
def test_text_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        folder_domains(tmp_path)


def test_no_text_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text to train on"):
        read_domains(None, code=False)
    with pytest.raises(ValueError, match="--text must be a folder"):
        read_domains(tmp_path / "absent")


def test_the_standard_library_is_read_without_its_tests() -> None:
    domain = standard_library()
    assert domain.name == "code"
    assert domain.characters > 3_000_000
    assert not any("class BaseTaskTests" in d for d in domain.documents)


@given(st.text(alphabet="ab \n", max_size=300).map(lambda s: s * 211))
def test_pieces_of_a_long_text_lose_nothing_but_line_ends(text: str) -> None:
    pieces = list(chunks(text))
    assert all(len(p) <= CHUNK_CHARS for p in pieces)
    assert "".join(pieces).replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(
        " ", ""
    )


@given(st.integers(2, 500), st.integers(1, 3_000))
def test_every_document_is_either_trained_on_or_held_out(count: int, length: int) -> None:
    domain = Domain("x", tuple(f"{i} " + "a" * length for i in range(count)))
    train, held = domain.split()
    assert sorted(train + held) == sorted(domain.documents)
    assert train
    assert held
    assert len(held) <= max(1, count / 10)
    assert len(held) >= count // 33


def test_one_document_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="needs at least 2 documents"):
        Domain("x", ("all",)).split()


# Tokenizer

SAMPLE = [["The quick brown fox jumps over the lazy dog. 12345\n    return x\n" * 3], ["ab " * 50]]


def test_the_tokenizer_depends_on_its_text_alone() -> None:
    a, b = (train_tokenizer(SAMPLE, 290).backend_tokenizer.to_str() for _ in range(2))
    assert a == b


@given(st.text(max_size=60))
def test_the_tokenizer_keeps_every_text(text: str) -> None:
    tokenizer = train_tokenizer(SAMPLE, 280)
    (ids,) = encode(tokenizer, [text.replace("<|endoftext|>", "")])
    assert tokenizer.decode(ids) == text.replace("<|endoftext|>", "")


def test_digits_stand_alone() -> None:
    tokenizer = train_tokenizer([["2024 2024 2024 2024"] * 50, ["words of text"]], 262)
    assert len(encode(tokenizer, ["2024"])[0]) == 4


@pytest.mark.parametrize(("size", "said"), [(100, "at least 257"), (5000, "too small")])
def test_a_vocabulary_that_the_text_cannot_fill_is_refused(size: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        train_tokenizer(SAMPLE, size)


# Batches


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6), st.integers(1, 30_000))
def test_shares_are_equal_unless_a_domain_is_short(sizes: list[int], total: int) -> None:
    given_ = shares(sizes, total)
    assert sum(given_) >= total
    if MOST_EPOCHS * sum(sizes) >= total:
        assert sum(given_) == total
        full = [g for g, n in zip(given_, sizes, strict=True) if g < MOST_EPOCHS * n]
        assert all(g <= MOST_EPOCHS * n for g, n in zip(given_, sizes, strict=True))
        if full:
            assert max(given_) - min(full) <= 1 or min(full) >= max(given_) - 1
    else:
        epochs = [g / n for g, n in zip(given_, sizes, strict=True)]
        assert max(g - min(epochs) * n for g, n in zip(given_, sizes, strict=True)) <= 1.0 + 1e-9


def _batches(total: int = 120, seed: int = 0) -> Batches:
    streams = [
        np.arange(k * 10_000, k * 10_000 + n, dtype=np.uint16)
        for k, n in ((0, 161), (1, 481), (2, 801))
    ]
    return Batches(streams, 16, total=total, seed=seed)


def test_a_batch_depends_on_its_position_alone() -> None:
    whole = _batches().read(0, 120)
    again = _batches()
    parts = [again.read(s, 10) for s in np.random.default_rng(0).permutation(12) * 10]
    order = np.random.default_rng(0).permutation(12)
    assert np.array_equal(whole, np.concatenate([parts[i] for i in np.argsort(order)]))
    assert not np.array_equal(whole, _batches(seed=1).read(0, 120))


def test_every_sequence_is_consecutive_text_of_one_domain() -> None:
    rows = _batches().read(0, 120)
    assert (np.diff(rows, axis=1) == 1).all()
    assert Counter((rows[:, 0] // 10_000).tolist()) == {0: 40, 1: 40, 2: 40}


def test_a_domain_is_read_whole_before_any_of_it_is_repeated() -> None:
    rows = _batches().read(0, 120)
    short = rows[rows[:, 0] < 10_000][:, 0]
    for epoch in range(4):
        assert sorted(short[10 * epoch : 10 * (epoch + 1)].tolist()) == list(range(0, 160, 16))
    assert short[:10].tolist() != short[10:20].tolist()


def test_every_stretch_of_the_training_holds_all_domains_alike() -> None:
    domains = _batches().read(0, 120)[:, 0] // 10_000
    for start in range(0, 90, 7):
        counts = np.bincount(domains[start : start + 30], minlength=3)
        assert counts.max() - counts.min() <= 2


def test_too_short_a_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="needs more than 16 tokens to train on, got 12"):
        Batches([np.zeros(12, dtype=np.uint16)], 16, total=3, seed=0)


# Muon and the schedule


@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 2**31))
@settings(max_examples=25)
def test_the_update_is_near_the_orthogonal_factor(rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(3, rows, columns, generator=generator)
    u, s, v = torch.linalg.svd(a, full_matrices=False)
    polar = u @ v
    found = orthogonalised(a)
    # The same singular vectors, singular values mapped near 1 unless they were tiny.
    mapped = torch.diagonal(u.mT @ found @ v.mT, dim1=1, dim2=2)
    assert torch.allclose(u @ torch.diag_embed(mapped) @ v, found, atol=1e-3)
    large = s > 0.05 * s.norm(dim=1, keepdim=True)
    assert ((mapped[large] > 0.6) & (mapped[large] < 1.3)).all()
    assert (polar * found).sum() > 0


def test_a_matrix_and_its_transpose_get_the_same_update() -> None:
    a = torch.randn(2, 7, 19, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalised(a).mT, orthogonalised(a.mT), atol=1e-6)


def test_the_update_has_the_size_of_an_adamw_one_whatever_the_gradient() -> None:
    for scale in (1e-4, 1.0, 1e4):
        w = torch.zeros(64, 96)
        w.grad = scale * torch.randn(64, 96, generator=torch.Generator().manual_seed(2))
        muon = Muon([("w", w)])
        muon.step(0.01)
        assert 0.01 * 0.12 < float(w.square().mean().sqrt()) < 0.01 * 0.26


def test_the_update_goes_downhill_with_memory_of_the_last_one() -> None:
    w = torch.zeros(8, 8)
    muon = Muon([("w", w)], momentum=0.9)
    w.grad = torch.eye(8)
    muon.step(0.1)
    assert (torch.diagonal(w) < 0).all()
    before = w.clone()
    w.grad = torch.zeros(8, 8)
    muon.step(0.1)
    assert (torch.diagonal(w) < torch.diagonal(before)).all()


def test_the_learning_rate_rises_then_falls_in_a_line_to_nothing() -> None:
    preset = Preset("p", 280, 16, 64, (Shape("s", 8, 1, 8, 1, 16 * 8 * 200, 8, 0.1),))
    model = new_model(preset.shapes[0], preset, end_token=0)
    run = Training(preset.shapes[0], preset, model, torch.device("cpu"), {})
    rates = []
    for step in range(run.steps):
        run.step = step
        rates.append(run.learning_rate())
    peak = int(np.argmax(rates))
    assert run.steps == 200
    assert abs(peak - WARM_UP * run.steps) <= 1
    assert rates[peak] == pytest.approx(0.1, rel=0.03)
    assert np.all(np.diff(rates[: peak + 1]) > 0)
    assert np.allclose(np.diff(rates[peak + 1 :]), rates[-1] - rates[-2])
    assert 0.0 < rates[-1] < 0.001


def test_initial_weights_differ_by_name_and_repeat_by_name() -> None:
    preset = preset_named("tiny")
    shape = preset.shapes[2]
    before = torch.get_rng_state()
    first, again = (new_model(shape, preset, end_token=0).state_dict() for _ in range(2))
    other = new_model(Shape(**{**shape.__dict__, "name": "x"}), preset, end_token=0).state_dict()
    key = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(first[key], again[key])
    assert not torch.equal(first[key], other[key])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_shape_that_rotary_positions_cannot_use_is_refused() -> None:
    with pytest.raises(ValueError, match="even multiple of heads"):
        Shape("s", 30, 1, 8, 2, 100, 8, 0.1)
