"""Drafts distilled from a teacher: what they minimise, where they start, that they resume."""

from __future__ import annotations

import inspect
import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.family import distill, distill_family, read_family  # noqa: E402
from howspec.calibrate.family.batches import save_tokenizer, train_tokenizer  # noqa: E402
from howspec.calibrate.family.distill import Distilling  # noqa: E402
from howspec.calibrate.family.models import divergence, overlap  # noqa: E402
from howspec.calibrate.family.shapes import draft_shapes  # noqa: E402
from howspec.calibrate.measure.inputs import load_ladder  # noqa: E402

VOCABULARY = 300


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    for module in (inspect, textwrap):
        (folder / f"{module.__name__}.txt").write_text(inspect.getsource(module)[:30_000] * 2)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Path:
    """A model with random weights whose next token depends most on the last: far from flat."""
    folder = tmp_path_factory.mktemp("models") / "teacher"
    documents = [p.read_text() for p in sorted(text.iterdir())]
    tokenizer = train_tokenizer([documents], VOCABULARY, context=256)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                num_attention_heads=2, max_position_embeddings=256, tie_word_embeddings=True,
                initializer_range=0.1, bos_token_id=0, eos_token_id=0,
            )
        )  # fmt: skip
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= 0.1
            layer.mlp.down_proj.weight *= 0.1
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder


def distil(out: Path, teacher: Path, text: Path, **more: Any) -> Any:
    options = {"tokens": 4_096, "sizes": (2.5,), "sequence": 32, "held_out_tokens": 256}
    return distill_family(out, teacher, text=text, code=False, device="cpu", **(options | more))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, teacher: Path, text: Path) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert distil(out, teacher, text).complete
    return out


class Steps:
    """A clock that goes on by a second at each look."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def test_the_divergence_is_nothing_for_equals_and_at_most_that_of_all_tokens() -> None:
    rng = torch.Generator().manual_seed(1)
    own, theirs = torch.randn(2, 50, 40, generator=rng, dtype=torch.float64) * 3.0
    best = theirs.log_softmax(-1).topk(6)
    same = divergence(theirs, best.indices, best.values)
    assert torch.allclose(same, torch.zeros_like(same), atol=1e-6)
    merged = divergence(own, best.indices, best.values)
    p, q = theirs.log_softmax(-1), own.log_softmax(-1)
    assert (merged <= (p.exp() * (p - q)).sum(-1) + 1e-9).all()
    assert (merged > 0).all()
    exact = torch.minimum(p.exp(), q.exp()).sum(-1)
    assert (overlap(own, best.indices, best.values) >= exact - 1e-9).all()
    all_of_it = theirs.log_softmax(-1).topk(40)
    whole = divergence(own, all_of_it.indices, all_of_it.values)
    assert torch.allclose(whole, (p.exp() * (p - q)).sum(-1), atol=1e-4)


def test_projected_embeddings_keep_the_products_that_their_width_allows(
    whole: Path, teacher: Path
) -> None:
    work = object.__new__(Distilling)
    model = transformers.AutoModelForCausalLM.from_pretrained(teacher)
    work.teacher = type("Loaded", (), {"model": model})()
    table = model.get_output_embeddings().weight.detach()
    products = table @ table.mT
    lost = []
    for width in (8, 32, 64):
        kept = work.projected(width)
        assert kept.shape == (VOCABULARY, width)
        lost.append(float((kept @ kept.mT - products).norm() / products.norm()))
    assert lost[0] > lost[1] > lost[2]
    assert lost[2] < 1e-5
    values = torch.linalg.svdvals(table.double())
    best = float((values[32:] ** 4).sum() / (values**4).sum()) ** 0.5
    assert lost[1] == pytest.approx(best, rel=1e-3)


def test_a_distilled_family_is_a_family_with_its_teacher_as_the_target(
    whole: Path, teacher: Path
) -> None:
    family = read_family(whole)
    target, *drafts = family["models"]
    assert (target["name"], target["role"], target["trained_tokens"]) == ("teacher", "target", 0)
    assert [d["role"] for d in drafts] == ["ladder"]
    assert set(family["corpus"]) == {"inspect", "textwrap", "written"}
    assert family["settings"]["teacher"] == "teacher"
    for draft in drafts:
        pair = load_ladder(str(whole / "teacher"), [str(whole / draft["name"])], device="cpu")
        assert (pair.target.logits, pair.vocabulary) == (VOCABULARY, None)
        assert draft["overlap"] == pytest.approx(np.mean(list(draft["overlap_by_domain"].values())))
    ours, theirs = (
        transformers.AutoModelForCausalLM.from_pretrained(f).state_dict()
        for f in (teacher, whole / "teacher")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_draft_learns_to_agree_with_its_teacher(whole: Path) -> None:
    (draft,) = read_family(whole)["models"][1:]
    model = transformers.AutoModelForCausalLM.from_pretrained(whole / draft["name"])
    teacher = transformers.AutoModelForCausalLM.from_pretrained(whole / "teacher")
    ids = torch.from_numpy(np.load(whole / "corpus" / "written-held-out.npy").astype(np.int64))
    rows = ids[: len(ids) // 32 * 32].view(-1, 32)
    with torch.inference_mode():
        p, q = (m(input_ids=rows).logits.softmax(-1) for m in (teacher, model))
    learnt = float(torch.minimum(p, q).sum(-1).mean())
    flat = float(torch.minimum(p, torch.full_like(p, 1 / VOCABULARY)).sum(-1).mean())
    assert learnt > flat + 0.1
    assert 0.0 <= draft["overlap_by_domain"]["written"] - learnt < 0.1  # the rest counts as one


def test_a_run_in_stages_ends_with_the_weights_of_an_undisturbed_one(
    whole: Path, teacher: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    logits: Callable[..., Any] = distill.row_logits
    loaded = distill.load_model

    def as_teacher(*given: Any, **more: Any) -> Any:
        found = loaded(*given, **more)
        found.model.teaches = True
        return found

    def counted(model: Any, *given: Any) -> Any:
        if getattr(model, "teaches", False):
            asked.append("pass")
        return logits(model, *given)

    monkeypatch.setattr(distill, "load_model", as_teacher)
    monkeypatch.setattr(distill, "row_logits", counted)
    calls = 1
    while not distil(tmp_path, teacher, text, stage_s=6.0, clock=Steps()).complete:
        calls += 1
        assert calls < 20
    assert calls > 3
    (draft,) = read_family(whole)["models"][1:]
    written = [f"corpus/written-{part}.npy" for part in ("train", "held-out")]
    for name in (*written, f"{draft['name']}/model.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert len(asked) == len(list((tmp_path / "labels").iterdir()))  # never twice for one row


def test_a_draft_of_the_teachers_width_starts_with_its_first_and_last_layers(
    whole: Path, teacher: Path, text: Path, tmp_path: Path
) -> None:
    work = object.__new__(Distilling)
    model = transformers.AutoModelForCausalLM.from_pretrained(teacher)
    deep = transformers.AutoModelForCausalLM.from_config(
        transformers.LlamaConfig(**{**model.config.to_dict(), "num_hidden_layers": 6})
    )
    work.teacher = type("Loaded", (), {"model": deep})()
    short = work.shortened(2)
    assert (short.config.num_hidden_layers, deep.config.num_hidden_layers) == (2, 6)
    own, theirs = short.model.layers, deep.model.layers
    assert torch.equal(own[0].mlp.up_proj.weight, theirs[0].mlp.up_proj.weight)
    assert torch.equal(own[1].mlp.up_proj.weight, theirs[5].mlp.up_proj.weight)
    assert torch.equal(short.model.norm.weight, deep.model.norm.weight)
    ids = torch.arange(12)[None]
    assert torch.equal(work.shortened(6)(input_ids=ids).logits, deep(input_ids=ids).logits)
    run = distil(tmp_path, teacher, text, sizes=(1.5,), tokens=128, gguf="f32")
    target, draft = run.record["models"][:2]
    assert (draft["layers"], draft["hidden"]) == (1, target["hidden"])
    kept = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / draft["name"])
    assert draft["parameters"] == sum(p.numel() for p in kept.parameters())
    file = {"pretrained_model_name_or_path": tmp_path, "gguf_file": f"{draft['name']}.gguf"}
    read = transformers.AutoModelForCausalLM.from_pretrained(**file)
    assert torch.allclose(read(input_ids=ids).logits, kept(input_ids=ids).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": (0.5,)}, r"sizes must be in \(1, inf\), got 0\.5"),
        ({"sizes": (math.nan,)}, r"sizes must be in \(1, inf\), got nan"),
        ({"sizes": (1e6,)}, "no draft computes 1e\\+06 times less than this teacher: its width"),
        ({"tokens": 10}, "tokens must be at least 128, one step, got 10"),
        ({"stage_s": 0.0}, "stage seconds must be above 0, got 0"),
        ({"tokens": 9_000}, "begun with train_tokens_wanted"),
    ],
)
def test_bad_input_is_one_line(
    whole: Path, teacher: Path, text: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        distil(whole, teacher, text, **given)
    assert "\n" not in str(caught.value)


def test_a_folder_goes_on_with_its_own_teacher_only(whole: Path, teacher: Path, text: Path) -> None:
    with pytest.raises(ValueError, match="this family was begun with teacher teacher, now draft"):
        distil(whole, whole / read_family(whole)["models"][1]["name"], text, sizes=(1.2,))


@pytest.mark.parametrize(
    ("compute", "vocabulary", "hidden", "layers"),
    [(134.5e6, 49_152, 576, 30), (1.5e9, 151_936, 1536, 28), (8e9, 128_256, 4096, 32)],
)
def test_a_ladder_spans_a_third_to_a_hundredth_of_a_teacher_in_two_depths(
    compute: float, vocabulary: int, hidden: int, layers: int
) -> None:
    sizes = (3.0, 10.0, 30.0, 100.0)
    shapes = draft_shapes(
        compute, vocabulary=vocabulary, hidden=hidden, layers=layers, sizes=sizes, tokens=1,
        batch=8, feed_forward=8, heads=1,
    )  # fmt: skip
    reached = [compute / s.parameters(vocabulary) for s in shapes if s.role == "ladder"]
    assert reached == pytest.approx(sizes, rel=0.2)
    (depth,) = (s for s in shapes if s.role == "depth")
    assert depth.layers <= 2
    assert all((s.hidden == hidden) == (s.layer_parameters is not None) for s in shapes)
    assert all(s.hidden <= hidden and s.layers < layers for s in shapes)
    assert compute / depth.parameters(vocabulary) == pytest.approx(10.0, rel=0.2)
    assert len({s.name for s in shapes}) == 5
    # vLLM on a CPU has no kernel for narrower heads.
    assert min(s.hidden // s.heads for s in shapes if s.layer_parameters is None) >= 32
