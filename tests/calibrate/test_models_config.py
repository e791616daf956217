"""A shape read from a configuration has the parameters of the model that transformers builds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from howspec.calibrate.models import model
from howspec.calibrate.models.config import architectures, auto_shape, read_config, shape_of
from howspec.calibrate.named import shape_for
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = {
    "vocab_size": 96, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 4,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
MOE = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
GPT = {"vocab_size": 96, "n_positions": 64, "n_embd": 48, "n_layer": 4, "n_head": 6}
LATENT = {
    "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 10,
    "num_key_value_heads": 6, "first_k_dense_replace": 1, "n_routed_experts": 6,
    "n_shared_experts": 2, "n_group": 1, "topk_group": 1, "head_dim": None,
}  # fmt: skip
DELTA = {
    "head_dim": 16, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 12, "linear_conv_kernel_dim": 4,
    "shared_expert_intermediate_size": 40, "tie_word_embeddings": False,
}  # fmt: skip
MAMBA = {
    "layer_types": ["mamba", "attention", "mamba", "mamba"], "mamba_n_heads": 8, "mamba_d_head": 12,
    "mamba_n_groups": 2, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2,
    "shared_intermediate_size": 40, "tie_word_embeddings": True,
}  # fmt: skip
INDEX = {"index_n_heads": 4, "index_head_dim": 16, "index_topk": 32, "head_dim": 8}
GEMMA4 = {
    "head_dim": 16, "global_head_dim": 24, "num_global_key_value_heads": 1, "sliding_window": 16,
    "attention_k_eq_v": True, "num_kv_shared_layers": 0,
    "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
}  # fmt: skip
# Class of transformers, and what its configuration is given.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", SMALL),
    "llama, tied and biased": (
        "Llama", SMALL | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}
    ),
    "mistral": ("Mistral", SMALL | {"head_dim": 16}),
    "mixtral": ("Mixtral", SMALL | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": ("Qwen2", SMALL),
    "qwen2_moe": (
        "Qwen2Moe",
        SMALL | MOE | {"num_experts": 6, "shared_expert_intermediate_size": 40,
                       "decoder_sparse_step": 2},
    ),
    "qwen3": ("Qwen3", SMALL | {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3_moe": ("Qwen3Moe", SMALL | MOE | {"num_experts": 6, "mlp_only_layers": [0]}),
    "gemma": ("Gemma", SMALL | {"head_dim": 16}),
    "gemma2": ("Gemma2", SMALL | {"head_dim": 16}),
    "gemma3_text": ("Gemma3", SMALL | {"head_dim": 16}),
    "gpt2": ("GPT2", GPT),
    "gpt_bigcode": ("GPTBigCode", GPT | {"multi_query": True}),
    "gpt_neox": ("GPTNeoX", {k: v for k, v in SMALL.items() if k != "num_key_value_heads"}),
    "gptj": ("GPTJ", GPT | {"rotary_dim": 4}),
    "codegen": ("CodeGen", GPT | {"n_head": 4, "rotary_dim": 4}),
    "bloom": ("Bloom", {"vocab_size": 96, "hidden_size": 48, "n_layer": 4, "n_head": 6}),
    "opt": (
        "OPT", {"vocab_size": 96, "hidden_size": 48, "ffn_dim": 80, "num_hidden_layers": 4,
                "num_attention_heads": 6, "max_position_embeddings": 64, "word_embed_proj_dim": 48},
    ),
    "phi": ("Phi", SMALL | {"num_key_value_heads": 6}),
    "phi3": ("Phi3", SMALL | {"pad_token_id": 0}),
    "phimoe": (
        "Phimoe", SMALL | {"num_local_experts": 4, "num_experts_per_tok": 2,
                           "attention_bias": True, "lm_head_bias": True},
    ),
    "deepseek_v2": ("DeepseekV2", SMALL | MOE | LATENT | {"q_lora_rank": None}),
    "deepseek_v3": ("DeepseekV3", SMALL | MOE | LATENT | {"q_lora_rank": 20}),
    "falcon, multi-query": (
        "Falcon", {"vocab_size": 96, "hidden_size": 48, "num_hidden_layers": 4,
                   "num_attention_heads": 6, "multi_query": True, "ffn_hidden_size": 192},
    ),
    "falcon, new": (
        "Falcon", {"vocab_size": 96, "hidden_size": 48, "num_hidden_layers": 4,
                   "num_attention_heads": 6, "num_kv_heads": 2, "new_decoder_architecture": True,
                   "ffn_hidden_size": 192},
    ),
    "stablelm": ("StableLm", SMALL | {"use_qkv_bias": True}),
    "olmo": ("Olmo", SMALL),
    "olmo2": ("Olmo2", SMALL),
    "olmoe": ("Olmoe", SMALL | {"num_experts": 6, "num_experts_per_tok": 2}),
    "granite": ("Granite", SMALL | {"tie_word_embeddings": True}),
    "starcoder2": ("Starcoder2", SMALL),
    "cohere": ("Cohere", SMALL),
    "cohere2": ("Cohere2", SMALL),
    "mpt": ("Mpt", {"vocab_size": 96, "d_model": 48, "n_layers": 4, "n_heads": 6}),
    "glm": ("Glm", SMALL | {"head_dim": 8, "pad_token_id": 0}),
    "glm4": ("Glm4", SMALL | {"head_dim": 8, "pad_token_id": 0}),
    "glm4_moe": (
        "Glm4Moe", SMALL | MOE | {"head_dim": 8, "n_routed_experts": 6, "n_shared_experts": 1,
                                  "use_qk_norm": True, "attention_bias": True},
    ),
    "nemotron": ("Nemotron", SMALL | {"head_dim": 8}),
    "smollm3": ("SmolLM3", SMALL | {"pad_token_id": 0}),
    "gpt_neo": (
        "GPTNeo", {"vocab_size": 96, "hidden_size": 48, "num_layers": 4, "num_heads": 6,
                   "max_position_embeddings": 64, "attention_types": [[["global", "local"], 2]]},
    ),
    "gpt_oss": (
        "GptOss", SMALL | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "apertus": ("Apertus", SMALL | {"head_dim": 8}),
    "minimax_m2": (
        "MiniMaxM2", SMALL | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}
    ),
    "llama4_text": (
        "Llama4", SMALL | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 1,
                           "intermediate_size_mlp": 112, "interleave_moe_layer_step": 2},
    ),
    "dbrx": (
        "Dbrx", {"vocab_size": 96, "d_model": 48, "n_layers": 4, "n_heads": 6, "max_seq_len": 64,
                 "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4},
                 "ffn_config": {"ffn_hidden_size": 80, "moe_num_experts": 4, "moe_top_k": 2}},
    ),
    "t5": (
        "T5", {"vocab_size": 96, "d_model": 48, "d_kv": 8, "d_ff": 80, "num_layers": 3,
               "num_decoder_layers": 4, "num_heads": 6},
    ),
    "qwen3_next": ("Qwen3Next", SMALL | MOE | DELTA | {"num_experts": 6}),
    "qwen3_5_text": ("Qwen3_5", SMALL | DELTA),
    "qwen3_5_moe_text": ("Qwen3_5Moe", SMALL | MOE | DELTA | {"num_experts": 6}),
    "nemotron_h": (
        "NemotronH", SMALL | MOE | {
            "layers_block_type": ["mamba", "moe", "attention", "mlp"], "mamba_num_heads": 4,
            "mamba_head_dim": 12, "n_groups": 2, "ssm_state_size": 8, "conv_kernel": 4,
            "n_routed_experts": 6, "moe_shared_expert_intermediate_size": 40, "head_dim": 8,
            "moe_latent_size": 16, "n_group": 1, "topk_group": 1},
    ),
    "granitemoehybrid": (
        "GraniteMoeHybrid", SMALL | MAMBA | {"num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "granitemoehybrid, dense": ("GraniteMoeHybrid", SMALL | MAMBA | {"num_local_experts": 0}),
    "lfm2": (
        "Lfm2", SMALL | {"layer_types": ["conv", "conv", "full_attention", "conv"],
                         "block_auto_adjust_ff_dim": False},
    ),
    "lfm2, width adjusted": (
        "Lfm2", SMALL | {"layer_types": ["conv", "conv", "full_attention", "conv"],
                         "block_ff_dim": 128, "block_multiple_of": 16,
                         "block_ffn_dim_multiplier": 1.3},
    ),
    "deepseek_v32": (
        "DeepseekV32", SMALL | MOE | LATENT | INDEX | {"q_lora_rank": 20},
    ),
    "glm_moe_dsa": ("GlmMoeDsa", SMALL | MOE | LATENT | INDEX | {"q_lora_rank": 20}),
    "glm4_moe_lite": ("Glm4MoeLite", SMALL | MOE | LATENT | {"q_lora_rank": 20, "head_dim": 8}),
    "minicpm3": (
        "MiniCPM3", SMALL | {k: v for k, v in LATENT.items() if "_dim" in k or "_rank" in k}
        | {"q_lora_rank": 20, "num_key_value_heads": 6},
    ),
    "gemma4_text": ("Gemma4", SMALL | GEMMA4 | {"hidden_size_per_layer_input": 0}),
    "gemma4_text, own embeddings": ("Gemma4", SMALL | GEMMA4 | {
        "hidden_size_per_layer_input": 12, "vocab_size_per_layer_input": 96}),
    "gemma4_text, experts": ("Gemma4", SMALL | MOE | GEMMA4 | {
        "hidden_size_per_layer_input": 0, "enable_moe_block": True, "num_experts": 6,
        "top_k_experts": 2}),
    "hy_v3": ("HYV3", SMALL | MOE | {"num_experts": 6, "first_k_dense_replace": 1, "head_dim": 8}),
    "afmoe": (
        "Afmoe", SMALL | MOE | {"num_experts": 6, "num_shared_experts": 1, "num_dense_layers": 1,
                                "head_dim": 8, "sliding_window": 16},
    ),
    "lfm2_moe": (
        "Lfm2Moe", SMALL | MOE | {"layer_types": ["conv", "conv", "full_attention", "conv"],
                                  "num_experts": 6, "num_dense_layers": 2},
    ),
    "dots1": (
        "Dots1", SMALL | MOE | {"n_routed_experts": 6, "n_shared_experts": 2,
                                "first_k_dense_replace": 1},
    ),
    "solar_open": (
        "SolarOpen", SMALL | MOE | {"n_routed_experts": 6, "n_shared_experts": 1, "head_dim": 8},
    ),
    "ernie4_5": ("Ernie4_5", SMALL | {"head_dim": 8}),
    "ernie4_5_moe": (
        "Ernie4_5_Moe", SMALL | {"moe_num_experts": 6, "moe_k": 2, "moe_num_shared_experts": 2,
                                 "moe_layer_start_index": 1, "moe_intermediate_size": 24},
    ),
    "exaone_moe": (
        "ExaoneMoe", SMALL | MOE | {"num_experts": 6, "num_shared_experts": 1,
                                    "first_k_dense_replace": 1, "sliding_window": 16},
    ),
    "cohere2_moe": (
        "Cohere2Moe", SMALL | {"num_experts": 6, "num_experts_per_tok": 2, "num_shared_experts": 2,
                               "head_dim": 8, "first_k_dense_replace": 0},
    ),
    "mistral4": ("Mistral4", SMALL | MOE | LATENT | {"q_lora_rank": 20, "head_dim": 20}),
    "longcat_flash": (
        "LongcatFlash", {k: v for k, v in (SMALL | LATENT).items() if k != "num_hidden_layers"} | {
            "num_layers": 3, "ffn_hidden_size": 80, "expert_ffn_hidden_size": 24, "moe_topk": 3,
            "zero_expert_num": 3, "q_lora_rank": 20, "head_dim": 8},
    ),
    "mimo_v2_flash": (
        "MiMoV2Flash", SMALL | MOE | {"n_routed_experts": 6, "head_dim": 12, "v_head_dim": 8,
                                      "num_key_value_heads": 3},
    ),
    "t5, gated": (
        "T5", {"vocab_size": 96, "d_model": 48, "d_kv": 8, "d_ff": 80, "num_layers": 4,
               "num_heads": 6, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
}  # fmt: skip


TEXT_PARTS = ("Gemma3", "Gemma4", "Llama4", "Qwen3_5", "Qwen3_5Moe")


def _built(name: str, keys: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """(configuration as written to a file, parameters of the model) without any memory."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config = getattr(transformers, f"{name}TextConfig" if name in TEXT_PARTS else f"{name}Config")
    made = config(**keys)
    kind = (
        "ForConditionalGeneration"
        if name == "T5"
        else ("LMHeadModel" if name == "GPT2" else "ForCausalLM")
    )
    with torch.device("meta"):
        net = getattr(transformers, name + kind)(made)
    return made.to_dict(), sum(p.numel() for p in net.parameters())


# Earlier releases of transformers build these otherwise or not at all.
NEW_CLASSES = {"dbrx", "nemotron_h", "deepseek_v32", "glm_moe_dsa", "minicpm3", "hy_v3",
               "cohere2_moe", "mimo_v2_flash"}  # fmt: skip


@pytest.mark.parametrize("label", MODELS)
def test_the_count_is_that_of_the_model_which_transformers_builds(label: str) -> None:
    if label in NEW_CLASSES:
        pytest.importorskip("transformers", minversion="5.24.0")
    name, keys = MODELS[label]
    config, count = _built(name, keys)
    shape = shape_of(json.loads(json.dumps(config, default=str)), name=label)
    # Left out: relative positions of T5, the gate of a shared expert, sinks, activations, biases of
    # routers.
    slack = {"t5": 2 * 32 * 6, "t5, gated": 2 * 32 * 6, "qwen2_moe": 4 * 48, "gpt_oss": 4 * 6,
             "apertus": 4 * 2, "afmoe": 3 * 6, "ernie4_5_moe": 3 * 6,
             "mimo_v2_flash": 3 * 6}.get(label, 0)  # fmt: skip
    assert 0 <= count - shape.parameters() <= slack, (count, shape.parameters())


def test_lfm2_has_the_width_under_the_name_that_its_releases_give_it() -> None:
    name, keys = MODELS["lfm2, width adjusted"]
    config, count = _built(name, keys)
    for other in ({}, {"intermediate_size": 80}):
        released = {k: v for k, v in config.items() if k != "intermediate_size"} | other
        shape = shape_of(released | {"block_ff_dim": keys["block_ff_dim"]}, name=name)
        assert shape.parameters() == count


# No class of transformers for text alone, or parts that are counted approximately: their models are
# held against the published totals.
BY_TOTALS = {"deepseek_v4", "kimi_linear", "minimax_m3", "step3p5", "bailing_moe", "mimo_v2"}


def test_every_type_that_can_be_read_is_compared_or_shares_a_compared_reader() -> None:
    alike = {"gemma3": "gemma3_text", "kimi_k2": "deepseek_v3", "ministral": "mistral",
             "ministral3": "mistral", "llama4": "llama4_text", "internlm2": "llama"}  # fmt: skip
    compared = {label.split(",")[0] for label in MODELS} | set(alike)
    assert compared >= set(architectures()) - {"falcon"} - BY_TOTALS
    assert any(label.startswith("falcon") for label in MODELS)


def _llama(**changes: Any) -> dict[str, Any]:
    given = SMALL | {"model_type": "llama", "torch_dtype": "float16"} | changes
    return {key: value for key, value in given.items() if value is not ...}


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(), st.text(max_size=5),
    st.lists(st.integers(-1, 3), max_size=3), st.dictionaries(st.text(max_size=3), st.none()),
)  # fmt: skip


@given(st.sampled_from(sorted(MODELS)), st.data())
@settings(max_examples=300)
def test_junk_in_a_configuration_gives_a_shape_or_one_line(label: str, data: Any) -> None:
    name, keys = MODELS[label]
    kind = {"Gemma3": "gemma3_text", "Llama4": "llama4_text"}.get(name, label.split(",")[0])
    config = dict(keys) | {"model_type": kind}
    more = ["sliding_window", "layer_types", "quantization_config", "mlp_only_layers", "moe_layers",
            "attention_layers", "decoder_sparse_step", "text_config", "torch_dtype",
            "num_ln_in_parallel_attn", "attn_config", "ffn_config"]  # fmt: skip
    for key in data.draw(st.lists(st.sampled_from([*keys, *more]), min_size=1, max_size=3)):
        config[key] = data.draw(JUNK)
    said = ""
    try:
        assert shape_of(config, name=label).parameters() > 0
    except ValueError as error:
        said = str(error)
    assert "\n" not in said


def test_a_folder_with_a_config_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(_llama()))
    shape = read_config(tmp_path)
    assert shape == read_config(tmp_path / "config.json")
    assert (shape.layers, shape.kv_heads, shape.head_dim, shape.weights) == (4, 2, 8, "fp16")
    assert shape_for(str(tmp_path))[0] == shape
    assert shape.name == tmp_path.name


def test_the_text_part_of_a_multimodal_configuration_counts() -> None:
    inner = {k: v for k, v in _llama().items() if k != "torch_dtype"}
    whole = {"model_type": "something", "torch_dtype": "bfloat16", "text_config": inner}
    assert shape_of(whole, name="m").weights == "bf16"
    assert shape_of(whole, name="m").layers == 4


def test_the_quantisation_of_the_release_is_its_number_format() -> None:
    for quantised, wanted in [
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
    ]:
        assert shape_of(_llama(quantization_config=quantised), name="m").weights == wanted


def test_windows_are_counted_from_the_layer_types_or_the_pattern() -> None:
    kinds = ["sliding_attention", "full_attention"] * 2
    listed = shape_of(_llama(sliding_window=32, layer_types=kinds), name="m")
    assert (listed.window, listed.windowed_layers) == (32, 2)
    every = shape_of(_llama(sliding_window=32), name="m")
    assert (every.window, every.windowed_layers) == (32, 4)
    off = shape_of(_llama(sliding_window=32, use_sliding_window=False), name="m")
    assert off.window == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be a JSON file"),
        ("[1]", "must hold a JSON object, got a list"),
        (json.dumps(_llama(model_type="no-such")), "model_type must be one of"),
        (json.dumps(_llama(hidden_size=...)), "hidden_size is missing"),
        (json.dumps(_llama(num_hidden_layers=2.5)), "num_hidden_layers must be a whole number"),
        (json.dumps(_llama(num_hidden_layers=True)), "num_hidden_layers must be a whole number"),
        (
            json.dumps(_llama(num_hidden_layers=0)),
            "num_hidden_layers must be in [1, 100000], got 0",
        ),
        (json.dumps(_llama(num_key_value_heads=4)), "kv_heads must divide heads 6, got 4"),
        (json.dumps(_llama(num_attention_heads=0)), "num_attention_heads must be at least 1"),
        (json.dumps(_llama(vocab_size="many")), "vocab_size must be a whole number, got 'many'"),
    ],
)
def test_a_bad_configuration_is_one_line_with_the_file_and_the_key(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"config\.json") as error:
        read_config(file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_configuration_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_config(tmp_path / "none.json")


def test_a_hub_out_of_reach_is_one_line_with_the_nearest_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transformers = pytest.importorskip("transformers")

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unreachable)
    with pytest.raises(ValueError, match="nearest: LLaMA-7B") as error:
        auto_shape("someone/llama-7x")
    assert "\n" not in str(error.value)


def test_a_configuration_of_the_hub_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    made = transformers.GPT2Config()
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", lambda *_, **__: made)
    assert auto_shape("someone/gpt2-like").parameters() == model("GPT2").shape.parameters()


def test_the_table_is_asked_before_the_hub_and_an_unknown_name_without_it_is_an_error() -> None:
    assert shape_for("meta-llama/Llama-3.2-1B-Instruct")[0].name == "Llama-3.2-1B"
    with pytest.raises(ValueError, match="nearest:"):
        shape_for("no-such-model-at-all")
