"""Loading models and pairs: what is refused says why, and architectures have their sizes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.torch")

from howspec.calibrate.measure.inputs import Ladder, load_ladder, padding_note  # noqa: E402
from howspec.calibrate.measure.pairs import (  # noqa: E402
    choose_device,
    choose_dtype,
    load_model,
    plain_config,
)
from howspec.calibrate.measure.sources import (  # noqa: E402
    config_from_family,
    family_model,
    family_models,
    folder_hash,
)

WORDS = ["<end>", *"abcdefghijklmnop"]


def tokenizer_of(words: list[str]) -> Any:
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<end>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<end>")


def config_of(rows: int = 24, layers: int = 1) -> Any:
    return transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        vocab_size=rows,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=0,
    )


def save(folder: Path, *, words: list[str] | None = None, rows: int = 24, layers: int = 1) -> Path:
    torch.manual_seed(1)
    transformers.LlamaForCausalLM(config_of(rows, layers)).save_pretrained(folder)
    if words is not None:
        tokenizer_of(words).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "target", words=WORDS, layers=2)


def test_a_folder_is_loaded_frozen_with_its_identity(folder: Path) -> None:
    loaded = load_model(folder, device="cpu")
    assert loaded.name == "target"
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.identity == {
        "name": "target",
        "model_type": "llama",
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "layers": 2,
        "dtype": "float32",
        "random_weights": False,
        "config": plain_config(loaded.config),
        "sha256_16": folder_hash(folder),
    }
    assert loaded.identity["config"]["hidden_size"] == 16
    assert str(folder.parent) not in json.dumps(loaded.identity)
    assert loaded.tokenizer.encode("a b") == [1, 2]


def test_the_hash_of_a_folder_changes_with_a_single_weight(folder: Path) -> None:
    before = folder_hash(folder)
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert folder_hash(folder) != before


def test_a_dtype_by_name_is_the_dtype_of_the_weights(folder: Path) -> None:
    loaded = load_model(folder, device="cpu", dtype="bfloat16")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert loaded.identity["dtype"] == "bfloat16"


def test_what_is_no_model_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no config\.json"):
        load_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickled"):
        load_model(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ValueError, match="has no weights"):
        load_model(folder)
    with pytest.raises(ValueError, match="is no model; give a folder, a"):
        load_model(folder / "config.json")


@pytest.mark.parametrize("kept", [0, 9, 2000])
def test_weights_that_were_cut_off_are_refused_in_one_line(folder: Path, kept: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"target: cannot be loaded: .*header") as caught:
        load_model(folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_refused_instead_of_drawn_at_random(folder: Path) -> None:
    file, config = folder / "model.safetensors", folder / "config.json"
    weights = safetensors.load_file(file)
    gone = "model.layers.1.mlp.up_proj.weight"
    safetensors.save_file({n: w for n, w in weights.items() if n != gone}, file)
    with pytest.raises(ValueError, match=rf"its files lack weights .*: {re.escape(gone)}$"):
        load_model(folder, device="cpu")
    safetensors.save_file(weights, file)
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "num_hidden_layers": 3}))
    with pytest.raises(ValueError, match=r"model\.layers\.2\..* and 8 more"):
        load_model(folder, device="cpu")
    config.write_text(json.dumps({**values, "hidden_size": 32}))
    with pytest.raises(ValueError, match="its weights have other shapes than"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("tied", [True, False])
def test_weights_in_parts_and_without_a_head_of_their_own_are_whole(
    folder: Path, tmp_path: Path, tied: bool
) -> None:
    config = config_of()
    config.tie_word_embeddings = tied
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "parts", max_shard_size="2KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    loaded = load_model(tmp_path / "parts", device="cpu")
    for ours, theirs in zip(model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    next((tmp_path / "parts").glob("*-00002-of-*")).unlink()
    with pytest.raises(ValueError, match="parts: cannot be loaded: No such file"):
        load_model(tmp_path / "parts", device="cpu")


def test_the_body_of_a_model_saved_alone_is_loaded_where_its_head_is_tied(tmp_path: Path) -> None:
    """As gpt2 stands on the hub: without the prefix of its body and without its head."""
    config = transformers.GPT2Config(
        n_embd=16, n_layer=1, n_head=2, vocab_size=40, n_positions=32, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    model.transformer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, device="cpu")
    assert torch.equal(loaded.model.lm_head.weight, model.transformer.wte.weight)


def test_a_folder_of_gguf_is_named_as_such(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "model.gguf").write_bytes(b"GGUF")
    (folder / "model.safetensors").rename(folder / "model.gguf")
    for place in (tmp_path / "alone", folder):
        with pytest.raises(ValueError, match="a folder of GGUF is no model: give one of its"):
            load_model(place)


def test_a_tokenizer_that_cannot_be_read_is_one_line(folder: Path) -> None:
    for content in ('{"version": ', "{}", '{"model": {"type": "none"}}'):
        (folder / "tokenizer.json").write_text(content)
        with pytest.raises(ValueError, match="its tokenizer cannot be read: ") as caught:
            load_model(folder, device="cpu")
        assert "\n" not in str(caught.value)


def test_a_name_that_the_hub_cannot_give_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **options: Any) -> Any:
        raise OSError("We couldn't connect to 'https://huggingface.co'\nand more lines")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unreachable)
    with pytest.raises(ValueError, match="no network, or no such name") as caught:
        load_model("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_code_of_a_model_does_not_run_unless_asked_for(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "strange.StrangeConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "strange.py").write_text("raise SystemExit('this ran')\n")
    with pytest.raises(ValueError, match="code of its own"):
        load_model(folder)


def test_random_weights_need_only_a_configuration(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    shutil.copy(folder / "config.json", file)
    state = torch.random.get_rng_state()
    one = load_model(file, device="cpu", dtype="bfloat16", random_weights=True, seed=3)
    again = load_model(file, device="cpu", dtype="bfloat16", random_weights=True, seed=3)
    other = load_model(file, device="cpu", dtype="bfloat16", random_weights=True, seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    weight = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(one.model.state_dict()[weight], again.model.state_dict()[weight])
    assert not torch.equal(one.model.state_dict()[weight], other.model.state_dict()[weight])
    assert one.identity["random_weights"]
    assert one.identity["seed"] == 3
    assert one.tokenizer is None
    assert one.model.dtype == torch.bfloat16
    assert one.model.model.rotary_emb.inv_freq.dtype == torch.float32
    logits = one.model(input_ids=torch.tensor([[1, 2, 3]])).logits
    assert torch.isfinite(logits).all()
    file.write_text("[1]")
    with pytest.raises(ValueError, match="not the configuration of a model"):
        load_model(file, random_weights=True)


def loaded_pair(target: Path, draft: Path) -> Ladder:
    return load_ladder(str(target), [str(draft)], device="cpu")


def test_a_pair_with_padded_outputs_is_cut_to_the_common_vocabulary(
    folder: Path, tmp_path: Path
) -> None:
    pair = loaded_pair(folder, save(tmp_path / "draft", words=WORDS, rows=20))
    assert pair.vocabulary == 20
    assert pair.notes[0].startswith("draft: logits are cut to 20")
    same = loaded_pair(folder, folder)
    assert (same.vocabulary, same.notes) == (None, ())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*WORDS[:3], "z", *WORDS[4:]], "first at token 3: 'c' in the target, 'z' in the draft"),
        ([*WORDS, "q"], "first at token 17: none in the target, 'q' in the draft"),
        (WORDS[:-1], "first at token 16: 'p' in the target, none in the draft"),
    ],
)
def test_tokenizers_that_differ_are_refused_with_the_first_difference(
    folder: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        loaded_pair(folder, save(tmp_path / "draft", words=words))


def test_the_same_tokens_split_otherwise_are_refused(folder: Path, tmp_path: Path) -> None:
    draft = save(tmp_path / "draft", words=WORDS)
    other = tokenizer_of(WORDS)
    other.backend_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    other.save_pretrained(draft)
    with pytest.raises(ValueError, match="split text differently"):
        loaded_pair(folder, draft)


def test_a_pair_needs_tokenizers_and_rows_for_every_token(folder: Path, tmp_path: Path) -> None:
    bare = save(tmp_path / "bare")
    with pytest.raises(ValueError, match="the draft bare has no tokenizer"):
        loaded_pair(folder, bare)
    with pytest.raises(ValueError, match="18 tokens, the draft gives logits for 17"):
        padding_note(18, 24, 17)


def test_device_and_dtype_are_chosen_or_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_dtype("auto", device=torch.device("cpu")) == torch.float32
    assert choose_dtype("auto", device=torch.device("cuda")) == torch.bfloat16
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, given 'abacus'"):
        choose_device("abacus")
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, given 'mps'"):
        choose_device("mps")
    with pytest.raises(ValueError, match="dtype must be auto or one of float32"):
        choose_dtype("int3", device=torch.device("cpu"))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device here"):
            choose_device("cuda")


BUNDLED = [m.name for m in family_models().values() if m.model_type]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_architecture_has_the_published_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config_from_family(name))
    found = family_model(name)
    assert found is not None
    assert sum(p.numel() for p in model.parameters()) == found.parameters


def test_the_families_of_the_paper_are_there_and_names_ignore_case() -> None:
    families = {m.family for m in family_models().values()}
    assert {"pythia", "bloom", "cerebras", "gpt2", "llama", "qwen25", "qwen3", "llama3"} <= families
    found = family_model("pythia-70m")
    assert found is not None
    assert found.hub == "EleutherAI/pythia-70m"
    assert config_from_family("PYTHIA-70M").hidden_size == 512
    with pytest.raises(ValueError, match="no bundled architecture is named 'Gemma-2-2B'"):
        config_from_family("Gemma-2-2B")
