"""A model of one GGUF file: the weights that are written are those that are measured."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")
pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.measure.inputs import ladder_of  # noqa: E402
from howspec.calibrate.measure.pairs import load_model  # noqa: E402
from howspec.calibrate.models.formats import gguf_format  # noqa: E402
from howspec.calibrate.named import named, shape_for  # noqa: E402

WORDS = ["<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz012", "ab", "abc"]
SIZES = {"hidden": 32, "heads": 2, "ffn": 64, "layers": 1}


def write(path: Path, seed: int = 0, *, file_type: int | None = None) -> dict[str, Any]:
    """A tiny Llama with random weights, as llama.cpp's converter writes one; its tensors."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("general.tags", ["a", "b"])
    writer.add_array("general.numbers", [3, 5, 7])
    if file_type is not None:
        writer.add_file_type(file_type)
    writer.add_block_count(SIZES["layers"])
    writer.add_context_length(64)
    writer.add_embedding_length(SIZES["hidden"])
    writer.add_feed_forward_length(SIZES["ffn"])
    writer.add_head_count(SIZES["heads"])
    writer.add_head_count_kv(SIZES["heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(WORDS)
    writer.add_token_types([3, *[1] * (len(WORDS) - 1)])
    writer.add_token_merges(["a b", "ab c"])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(0)
    shapes = {"token_embd": (len(WORDS), 32), "output": (len(WORDS), 32), "output_norm": (32,)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        shapes[f"blk.0.{name}"] = (32, 32)
    shapes |= {f"blk.0.{n}": (64, 32) for n in ("ffn_gate", "ffn_up")}
    shapes |= {"blk.0.ffn_down": (32, 64), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    made = {f"{n}.weight": rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    for name, values in made.items():
        if name in ("token_embd.weight", "blk.0.ffn_up.weight"):
            packed = gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            made[name] = gguf.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return made


def test_a_file_of_gguf_is_loaded_as_a_folder_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write(tmp_path / "tiny-Q8_0.gguf")
    loaded = load_model(tmp_path / "tiny-Q8_0.gguf", device="cpu")
    assert capsys.readouterr() == ("", "")
    assert loaded.name == "tiny-Q8_0"
    assert loaded.identity["weights"] == "GGUF, dequantised"
    assert len(loaded.identity["sha256_16"]) == 16
    assert str(tmp_path) not in str(loaded.identity)
    state = loaded.model.state_dict()
    for ours, theirs in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj.weight"),
        ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"),
    ):
        np.testing.assert_allclose(state[theirs].numpy(), written[ours], rtol=1e-6)
    loaded.model.save_pretrained(tmp_path / "folder")
    again = load_model(tmp_path / "folder", device="cpu").model.state_dict()
    assert all(torch.equal(again[name], values) for name, values in state.items())
    assert loaded.tokenizer is not None
    assert len(loaded.tokenizer("ab")["input_ids"]) > 0


def test_two_files_are_a_pair_and_tell_their_shape(tmp_path: Path) -> None:
    for seed, name in enumerate(("target.gguf", "draft.gguf")):
        write(tmp_path / name, seed)
    target, draft = (load_model(tmp_path / f"{n}.gguf", device="cpu") for n in ("target", "draft"))
    pair = ladder_of(target, [draft])
    assert (target.logits, pair.vocabulary, pair.notes) == (len(WORDS), None, ())
    assert target.identity["sha256_16"] != draft.identity["sha256_16"]
    shape, _ = shape_for(str(tmp_path / "target.gguf"))
    assert (shape.layers, shape.hidden, shape.vocab) == (1, 32, len(WORDS))


@pytest.mark.parametrize(("said", "form"), [(15, "q4_k_m"), (3, "q4_1"), (1, "fp16"), (None, "")])
def test_a_file_tells_its_number_format(said: int | None, form: str, tmp_path: Path) -> None:
    write(tmp_path / "model.gguf", file_type=said)
    assert gguf_format(tmp_path / "model.gguf") == form
    model = named(str(tmp_path / "model.gguf"))
    assert (model.dtype, model.dtype_stated) == (form or "bf16", form)
    whole = (tmp_path / "model.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:40])
    assert gguf_format(tmp_path / "cut.gguf") == ""
    (tmp_path / "head.gguf").write_bytes(whole[:4])
    for name in ("cut.gguf", "head.gguf"):
        with pytest.raises(ValueError, match="cannot be read") as caught:
            shape_for(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_what_has_the_name_alone_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="has the name of a GGUF file and is none"):
        load_model(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        load_model(tmp_path / "b.gguf")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny family after its first steps: what is written and read is any weights."""
    from howspec.calibrate.family import preset_named, train_family

    text, out = tmp_path_factory.mktemp("text"), tmp_path_factory.mktemp("family")
    (text / "words.txt").write_text("It counts 12 apples, and 3 of them are red.\n\n" * 4_000)
    (text / "code.txt").write_text(inspect.getsource(inspect))
    tiny = preset_named("tiny")
    shapes = tuple(replace(s, tokens=2_000) for s in tiny.shapes[:3])
    assert train_family(out, replace(tiny, shapes=shapes), text=text, code=False).complete
    return out


def _logits(model: Any, ids: Any) -> Any:
    with torch.inference_mode():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("numbers", ["f32", "f16", "q8_0"])
def test_a_written_file_gives_the_logits_and_tokens_of_its_folder(
    family: Path, tmp_path: Path, numbers: str
) -> None:
    from howspec.calibrate.family.gguf_files import write_gguf

    name = "draft-25k"
    write_gguf(family / name, tmp_path / "draft.gguf", numbers=numbers)
    kept = load_model(family / name, device="cpu")
    read = load_model(tmp_path / "draft.gguf", device="cpu")
    ids = torch.randint(0, kept.logits, (2, 24), generator=torch.Generator().manual_seed(5))
    ours, theirs = _logits(kept.model, ids), _logits(read.model, ids)
    error = {"f32": 1e-5, "f16": 5e-3, "q8_0": 0.1}[numbers] * float(ours.std())
    assert float((ours - theirs).abs().max()) < error
    assert numbers == "f32" or not torch.equal(ours, theirs)
    text = "def f(x):\n    return x1 + 25"
    assert kept.tokenizer is not None
    assert read.tokenizer is not None
    assert read.tokenizer.decode(read.tokenizer(text)["input_ids"]) == text
    fields = gguf.GGUFReader(tmp_path / "draft.gguf").fields
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert len(fields["tokenizer.ggml.tokens"].contents()) == kept.logits
    assert gguf_format(tmp_path / "draft.gguf") == {"f32": "fp32", "f16": "fp16"}.get(
        numbers, numbers
    )


def test_the_tokenizer_of_a_file_is_taken_word_for_word(family: Path, tmp_path: Path) -> None:
    from howspec.calibrate.family.gguf_files import write_gguf

    write(tmp_path / "teacher.gguf")
    write_gguf(family / "draft-6k", tmp_path / "d.gguf", tokenizer_of=tmp_path / "teacher.gguf")
    own, theirs = (gguf.GGUFReader(tmp_path / f"{n}.gguf").fields for n in ("d", "teacher"))
    named = [key for key in theirs if key.startswith("tokenizer.")]
    assert len(named) > 5
    for key in named:
        assert own[key].contents() == theirs[key].contents()


def test_what_has_no_place_in_gguf_is_refused_in_one_line(family: Path, tmp_path: Path) -> None:
    import json
    import shutil

    from howspec.calibrate.family.gguf_files import write_gguf

    with pytest.raises(ValueError, match="gguf must be one of f32, f16, q8_0, got 'q4'"):
        write_gguf(family / "draft-6k", tmp_path / "x.gguf", numbers="q4")
    shutil.copytree(family / "draft-6k", tmp_path / "other")
    place = tmp_path / "other" / "tokenizer.json"
    told = json.loads(place.read_text())
    told["pre_tokenizer"] = {"type": "Whitespace"}
    place.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"splits text in a way .* Whitespace; its \.gguf file"):
        write_gguf(tmp_path / "other", tmp_path / "x.gguf")
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(ValueError, match="of the kind llama are written as GGUF, this one is gpt2"):
        write_gguf(tmp_path / "gpt2", tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()
