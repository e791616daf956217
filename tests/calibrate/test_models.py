"""The tables of models and devices, and what follows from a shape."""

from __future__ import annotations

import csv
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collection import collected
from howspec.calibrate.models import (
    FORMATS,
    Device,
    ModelShape,
    device,
    devices,
    family,
    find_model,
    model,
    models,
    nearest_models,
    number_format,
)
from howspec.calibrate.models.catalogue import _keys as model_keys
from howspec.calibrate.models.config import architectures
from howspec.calibrate.models.names import device_key, squeeze, take_format
from howspec.calibrate.prior.costs import predict_costs, usual_dtype
from howspec.calibrate.tables.read import parse_table
from howspec.calibrate.tables.schema import Row, Rule, Schema, number
from howspec.theory.costs import experts_touched
from hypothesis import given
from hypothesis import strategies as st

TABLES = Path(__file__).resolve().parents[2] / "calibrate" / "models"
# The tables of models and devices, and those of the priors: most are read without a check.
FACTS = {
    schema.name: schema
    for schema in (
        Schema("models", ("name",)),
        Schema("architectures", ("type",)),
        Schema("devices", ("name",), (
            Rule("fp32", "must be stated, or bf16 or fp16 be",
                 lambda r: any(number(r, rate) > 0 for rate in ("fp32", "bf16", "fp16"))),
        )),
        Schema("machines", ("name",)),
        Schema("formats", ("name",)),
        Schema("drafters", ("name",)),
        Schema("stacks", ("stack",)),
        Schema("tasks", ("task",)),
        Schema("costs_parameters", ("name",)),
        Schema("heads_spreads", ("effect",)),
    )
}  # fmt: skip
# Their notes say why the count is not the published total: parts outside the decoder, parts that
# the source does not state.
NOT_THE_TOTAL = {
    "Llama-4-Scout", "GLM-4.5", "Chinchilla-70B", "GLM-5.3-Flash",
    "LaMDA-2B", "LaMDA-8B", "LaMDA-137B", "Ministral-3-8B", "Mistral-Medium-3.5-128B",
}  # fmt: skip


def allowed(published: int) -> float:
    """Half a unit of the last printed digit, and at least 0.5 %."""
    digits = str(published)
    return max(0.005 * published, 0.5 * 10 ** (len(digits) - len(digits.rstrip("0"))))


def test_the_table_holds_the_families_of_the_paper_and_more() -> None:
    assert len(models()) >= 120
    sizes = {
        "Pythia": 10, "BLOOM": 6, "Cerebras-GPT": 7, "GPT-2": 5, "LLaMA": 4, "TinyLLaMA": 1,
        "Llama-2": 3, "Llama-3.2": 2, "Llama-4": 2, "Qwen2.5": 8, "Qwen3": 9, "Gemma-3": 5,
        "OPT": 8, "T5": 5, "T5-v1.1": 5, "GPT-OSS": 2, "DeepSeek-V2": 2,
    }  # fmt: skip
    assert {name: len(family(name)) for name in sizes} == sizes


@pytest.mark.parametrize("name", sorted(set(models()) - NOT_THE_TOTAL))
def test_parameters_counted_from_the_shape_are_the_published_total(name: str) -> None:
    entry = models()[name]
    published = entry.published_parameters
    assert abs(entry.shape.parameters() - published) <= allowed(published)


@pytest.mark.parametrize("name", sorted(NOT_THE_TOTAL))
def test_a_count_that_is_not_the_published_total_has_a_reason(name: str) -> None:
    entry = models()[name]
    error = abs(entry.shape.parameters() - entry.published_parameters)
    assert error > allowed(entry.published_parameters), "no exception is needed"
    assert error < 0.09 * entry.published_parameters, "no rounding"
    assert "published total" in entry.notes


def test_nine_in_ten_totals_agree_and_most_of_them_to_the_last_digits() -> None:
    errors = [abs(m.shape.parameters() / m.published_parameters - 1) for m in models().values()]
    assert np.mean(np.array(errors) <= 0.005) >= 0.92
    assert np.mean(np.array(errors) <= 1e-6) >= 0.7


@pytest.mark.parametrize("name", [n for n, m in models().items() if m.published_active])
def test_active_parameters_agree_with_the_published_ones_up_to_an_embedding(name: str) -> None:
    entry = models()[name]
    assert entry.published_active is not None
    shape = entry.shape
    # Sources count the embedding, the output matrix, both or neither, and round.
    embedding = shape.vocab * shape.hidden * (1 if shape.tied else 2)
    assert (shape.active_parameters() - embedding) / entry.published_active <= 1.03
    assert shape.active_parameters() / entry.published_active >= 0.97
    assert shape.active_parameters() < shape.parameters()


def test_the_nearest_names_come_first_for_a_name_that_is_not_there() -> None:
    assert nearest_models("Qwen2.5-9B-Instruct").startswith("Qwen2.5-")
    with pytest.raises(ValueError, match="model must be a name of the table, nearest: "):
        model("EAGLE head")
    with pytest.raises(ValueError, match=r"nearest: Pythia-2\.8B.*got 'pythia-2\.9b'"):
        model("pythia-2.9b")
    with pytest.raises(ValueError, match="nearest: Pythia"):
        family("pythai")


def test_no_alias_stands_for_two_models_and_none_hides_a_name() -> None:
    seen: dict[str, str] = {}
    for name, entry in models().items():
        for other in (name, *entry.aliases):
            assert seen.setdefault(squeeze(other), name) == name, other
            assert model(other).name == name, other
    assert set(seen) <= set(model_keys())


# Heads of a target, n-grams, models without a public shape, and what the source leaves open.
NO_PLAIN_MODEL = re.compile(
    r"eagle|hydra|medusa|lookahead|pld|rest$|recycling|samd|redrafter|gram$|mtp|dflash|dspark|"
    r"prompt lookup|pe$|draft lm|not stated|speculator|gpt-like|lamda 100m|pair named",
    re.IGNORECASE,
)
UNKNOWN_SHAPES = {
    "Apertus-v1.5-70B", "Apertus-v1.5-8B", "DeepSeek-V4-Pro-0813", "MiniMax-M3", "Qwen3.8-27B",
    "Qwen3.6-35B-A3B (MoE)", "gemma-4-12B-it-qat", "gemma-4-31B-it",
}  # fmt: skip


def test_plain_models_of_the_published_measurements_are_found() -> None:
    tables = ("acceptance", "measurements", "seed_table")
    rows = [row for table in tables for row in collected(table)]
    names = {row[role] for row in rows for role in ("target", "draft")} - {""}
    missing = {n for n in names if find_model(n) is None}
    assert {n for n in missing if not NO_PLAIN_MODEL.search(n)} <= UNKNOWN_SHAPES


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Llama-3.1-8B", 131072), ("Qwen3-1.7B", 114688), ("DeepSeek-V3", 61 * 576 * 2),
     ("Falcon-7B", 32 * 2 * 64 * 2), ("GPT2", 12 * 2 * 768 * 2)],
)  # fmt: skip
def test_cache_of_a_token(name: str, wanted: float) -> None:
    assert model(name).shape.kv_bytes_per_token() == wanted
    assert model(name).shape.kv_bytes_per_token("fp8") == wanted / 2


def test_windowed_layers_stop_growing_at_their_window() -> None:
    shape = model("Gemma-3-27B").shape
    assert shape.cached_tokens(500.0) == 500.0
    far = (shape.cached_tokens(40_000.0) - shape.cached_tokens(30_000.0)) / 10_000
    assert far == pytest.approx(10 / 62)
    assert shape.cache_bytes(40_000.0) < 0.2 * 40_000 * shape.kv_bytes_per_token()


def test_a_hybrid_keeps_a_state_and_caches_in_its_layers_of_attention_alone() -> None:
    shape = model("Qwen3.6-27B").shape
    assert shape.kv_bytes_per_token() == 16 * 2 * 4 * 256 * 2
    state = 48 * (48 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 48 * 128) * 2)
    assert shape.state_bytes() == state
    assert shape.cache_bytes(1000.0) == 1000 * 65536 + state
    read = shape.read_tokens(1000.0) * shape.kv_bytes_per_token()
    assert read == pytest.approx(1000 * 65536 + 2 * state)  # read, and written back
    assert model("Llama-3.1-8B").shape.read_tokens(77.0) == 77.0


def test_a_sparse_cache_is_held_whole_and_read_in_part() -> None:
    shape = model("GLM-5").shape
    assert shape.cached_tokens(100_000.0) == 100_000.0
    assert shape.read_tokens(100_000.0) == 2048
    assert shape.read_tokens(100.0) == 100.0
    packed = model("DeepSeek-V4-Flash").shape
    assert packed.kv_bytes_per_token() < 0.1 * model("DeepSeek-V3").shape.kv_bytes_per_token()


def test_layers_without_a_window_may_have_other_heads() -> None:
    shape = model("gemma-4-31b-it").shape
    far = shape.cache_bytes(40_000.0) - shape.cache_bytes(30_000.0)
    assert far == pytest.approx(10_000 * 10 * 2 * 4 * 512 * 2)


def test_a_state_that_a_rejection_must_restore_is_a_note() -> None:
    target, draft = model("Qwen3.5-9B").shape, model("Qwen3.5-0.8B").shape
    law = predict_costs(target, draft, device("L4"), rng=np.random.default_rng(1), draws=10)
    assert any("a state of 51.5 MB a sequence that cannot be cut back" in n for n in law.notes)


def test_bytes_by_format_follow_what_the_format_holds() -> None:
    dense, sparse = model("Llama-3.1-8B").shape, model("GPT-OSS-120B").shape
    assert dense.bytes("bf16") == 2 * dense.parameters()
    assert dense.bytes("fp32") == 4 * dense.parameters()
    head = 128256 * 4096
    assert dense.bytes("fp8") == 2 * 2 * head + (dense.parameters() - 2 * head)
    assert dense.bytes("q8_0") == pytest.approx(8.5 / 8 * dense.parameters())
    assert dense.bytes("mxfp4") == dense.bytes("bf16")  # nothing but experts is packed
    assert sparse.bytes() == pytest.approx(65e9, rel=0.05)  # size of the released files
    assert dense.read_bytes("bf16") == 2 * (dense.parameters() - head)  # rows are looked up


def test_a_decoding_step_of_an_encoder_decoder_reads_neither_encoder_nor_cached_keys() -> None:
    shape = model("T5-v1.1-XXL").shape
    cross = 24 * 2 * 4096 * 4096
    block = 4 * 4096 * 4096 * 2 + 3 * 4096 * 10240 + 3 * 4096
    assert shape.read_parameters() == 32128 * 4096 + 24 * block - cross + 4096


@given(st.integers(1, 4096), st.sampled_from([n for n, m in models().items() if m.shape.is_moe]))
def test_weights_of_a_pass_grow_with_its_tokens_up_to_all_experts(tokens: int, name: str) -> None:
    shape = models()[name].shape
    here, more = shape.pass_bytes(tokens), shape.pass_bytes(tokens + 1)
    every = shape.read_bytes() + shape.experts * shape.expert_bytes()
    one = shape.read_bytes() + shape.active_experts * shape.expert_bytes()
    assert one * (1 - 1e-12) <= here <= more <= every * (1 + 1e-12)
    touched = experts_touched(
        tokens, 1.0, experts=shape.experts, active_experts=shape.active_experts
    )
    assert here == pytest.approx(shape.read_bytes() + touched * shape.expert_bytes(), rel=1e-12)


def test_operations_are_two_a_parameter_read_and_four_a_cached_number() -> None:
    shape = model("Llama-3.1-8B").shape
    assert shape.token_ops() == 2 * shape.read_parameters()
    assert shape.attention_ops() == 4 * 32 * 32 * 128
    sparse = model("Qwen3-30B-A3B").shape
    assert sparse.token_ops() == pytest.approx(2 * 3.0e9, rel=0.05)


def _shape(**changes: Any) -> ModelShape:
    given: dict[str, Any] = {
        "name": "m", "layers": 3, "hidden": 32, "heads": 4, "kv_heads": 2, "head_dim": 8,
        "ffn": 64, "vocab": 100,
    }  # fmt: skip
    return ModelShape(**(given | changes))


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 500))
def test_parameters_are_linear_in_layers_and_in_vocabulary(layers: int, k: int, vocab: int) -> None:
    one, two, three = (_shape(layers=layers + i * k).parameters() for i in range(3))
    assert three - two == two - one > 0
    wide, wider = _shape(vocab=vocab).parameters(), _shape(vocab=vocab + k).parameters()
    assert wider - wide == 2 * 32 * k
    assert _shape(vocab=vocab, tied=True).parameters() == wide - 32 * vocab


def test_a_mixture_whose_experts_are_all_active_counts_as_dense() -> None:
    experts = {"experts": 4, "active_experts": 4, "expert_ffn": 16, "moe_layers": 3}
    shape = _shape(**experts)
    assert shape.active_parameters() == shape.parameters()
    router = 3 * 4 * 32
    assert shape.parameters() == _shape().parameters() + router  # 4 x 16 wide is 64 wide
    assert shape.pass_bytes(5.0) == pytest.approx(shape.read_bytes() + 4 * shape.expert_bytes())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kv_heads": 3}, "kv_heads must divide heads 4, got 3"),
        ({"layers": 0}, "layers must be a whole number in"),
        ({"hidden": 8.0}, "hidden must be a whole number in"),
        ({"ffn": True}, "ffn must be a whole number in"),
        ({"moe_layers": 4}, "moe_layers must be at most 3"),
        ({"moe_layers": 1, "experts": 2}, "active_experts must be in"),
        ({"windowed_layers": 9}, "windowed_layers must be at most 3"),
        ({"kv_rank": 4}, "value_dim must be positive"),
        ({"norm": "batch"}, "norm must be one of"),
        ({"weights": "int5"}, "dtype must be one of"),
        ({"recurrent": "mamba"}, "recurrent_layers must be positive with a recurrence"),
        ({"recurrent_layers": 1}, "recurrent_layers must be positive with a recurrence, and only"),
        ({"recurrent": "delta", "recurrent_layers": 2, "attention_layers": 2}, "be at most 3"),
        ({"recurrent": "rnn", "recurrent_layers": 1}, "recurrent must be one of"),
        ({"cache_share": 0.0}, "cache_share must be in (0, 1]"),
    ],
)
def test_a_shape_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        _shape(**changes)


def test_formats_are_found_by_alias_and_unknown_ones_name_the_nearest() -> None:
    assert number_format("BFloat16") == FORMATS["bf16"]
    assert number_format("awq").bits == 4.25
    assert number_format("4.65bpw").bits == 4.65
    assert number_format("IQ4_KS_R4") == FORMATS["iq4_ks"]
    with pytest.raises(ValueError, match=r"dtype must be one of q4_k_m, .*got 'q4_k_x'"):
        number_format("q4_k_x")


@pytest.mark.parametrize(
    ("written", "bits"),
    [
        ("LoneStriker/Llama-3-70B-Instruct-4.65bpw-h6-exl2", 4.65),
        ("Qwen3-32B-exl3-4.0bpw", 4.0),
        ("Qwen3-8B-exl2_6.0bpw", 6.0),
        ("Qwen3-8B-IQ2_K_R4", 2.375),
    ],
)
def test_the_width_of_weights_is_read_off_a_name(written: str, bits: float) -> None:
    model, form = take_format(written)
    assert number_format(form).bits == bits
    assert model in ("llama-3-70b-instruct", "qwen3-32b", "qwen3-8b")


def test_devices_are_many_and_their_rates_are_in_order() -> None:
    assert len(devices()) >= 60
    order = [("bf16", "fp8"), ("fp16", "int8"), ("fp8", "fp4"), ("fp32", "fp16")]
    for name, found in devices().items():
        for slow, fast in order:
            if slow in found.rates and fast in found.rates and (name, fast) not in SLOW_INTEGERS:
                assert found.rates[slow] <= found.rates[fast], (name, slow, fast)
        ridge = max(found.rates.values()) / found.bandwidth
        # Operations a byte: CPUs are low, 4-bit rates beside mobile memory high.
        assert 1 < ridge < 4000, (name, ridge)
        assert 1e9 <= found.memory <= 1e12


# Blackwell Ultra gave up fast 8-bit integers; Gaudi 3 is as fast in 16 bits as in 8.
SLOW_INTEGERS = {(name, "int8") for name in ("B300", "GB300", "DGX Station GB300")}


@pytest.mark.parametrize(
    ("written", "remarks"),
    [
        ("H100 SXM", ()), ("RTX 4090", ()), ("Apple M4 Max 64GB", ()), ("A100-SXM4-80GB", ()),
        ("2x A100 80GB", ("A100 80GB leaves the kind open: A100 80GB SXM with 80 GB is meant, not "
                          "A100 80GB PCIe (80 GB)",)),
        ("MI50", ("MI50 leaves the memory open: MI50 with 32 GB is meant, of 16, 32 GB",)),
        ("Xeon Gold 6248", ("Xeon Gold 6248 is not in the table: Generic Xeon stands for it, "
                            "Intel Xeon Gold 6430 specifications",)),
    ],
)  # fmt: skip
def test_what_a_name_leaves_open_is_said(written: str, remarks: tuple[str, ...]) -> None:
    assert device(written).remarks == remarks


def test_what_a_name_leaves_open_is_a_note_of_the_costs() -> None:
    target, draft = model("Llama-3.1-8B").shape, model("Llama-3.2-1B").shape
    law = predict_costs(target, draft, device("H100"), rng=np.random.default_rng(1), draws=10)
    assert law.notes[-1].startswith("H100 leaves the kind open: H100 SXM with 80 GB is meant")


@pytest.mark.parametrize("written", ["H1000", "", "x", "0x H100", "4x", "4x NoSuch", "gpu", "RTX"])
def test_an_unknown_device_is_one_line(written: str) -> None:
    with pytest.raises(
        ValueError, match=r"device must be a name of the table|devices must be"
    ) as e:
        device(written)
    assert "\n" not in str(e.value)


def test_a_device_that_no_table_has_is_stated_by_its_data() -> None:
    row = device("T4")
    stated = device("3x bandwidth=320, memory=16, fp32=8.1, fp16=65,int8=130, link=32")
    assert stated.count == 3
    assert stated.source == "stated"
    for name in ("rates", "bandwidth", "memory", "link", "kind"):
        assert getattr(stated, name) == getattr(row, name)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "bandwidth=320",
            r"device must state bandwidth \[GB/s\], memory \[GB\] and a rate of fp32,",
        ),
        (
            "bandwidth=320,memory=16,fp16=-1",
            r"device: fp16 must be a number in \(0, inf\).*got '-1'",
        ),
        ("bandwith=320,memory=16,fp16=5", "device must state .* as name=value, got 'bandwith'"),
        ("bandwidth=320,memory=16,fp16=5,kind=car", "device: kind must be one of gpu, .*got 'car'"),
        ("bandwidth=320,memory=16,fp16", "device: fp16 .*got an empty cell"),
        ("RTX 3090 + RTX 4090", "nearest"),
        ("Foo 9 + RTX 4090", "nearest"),
        ("2x RTX 3090, RTX 4090", "nearest"),
        ("RTX 4070 Ti Super + RTX 3060 (target), RTX 2070 (draft)", "nearest"),
        ("RTX 4000", "nearest: RTX A4000, .*got 'RTX 4000'"),
    ],
)
def test_data_of_a_device_that_say_too_little_are_one_line(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        device(written)


def test_no_alias_stands_for_two_devices() -> None:
    seen: dict[str, str] = {}
    with (TABLES / "devices.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for other in (row["name"], *filter(None, row["aliases"].split(";"))):
                assert seen.setdefault(device_key(other), row["name"]) == row["name"], other
                assert device(other).name == row["name"]


def test_a_format_is_computed_in_what_the_device_has_or_refused() -> None:
    v100, l4, m2 = device("V100"), device("L4"), device("M2")
    assert v100.arithmetic("int4") == "fp16"  # weights are unpacked to what there is
    assert l4.arithmetic("fp8") == "fp8"
    assert l4.arithmetic("q4_0") == "fp16"  # blocks of files count at the 16-bit rate
    assert m2.arithmetic("q4_0") == "fp16"
    assert l4.rate("fp8") == 242e12
    assert device("Graviton3").arithmetic("fp16") == "bf16"
    for dtype in ("bf16", "fp8", "nvfp4"):
        with pytest.raises(
            ValueError, match=rf"V100 SXM2 computes in \(fp32, fp16\), got '{dtype}'"
        ):
            v100.arithmetic(dtype)


def test_a_device_without_16_bit_arithmetic_converts_fp16() -> None:
    old = device("Tesla P40")
    assert usual_dtype(model("Qwen3-8B").shape, old) == "fp16"
    assert old.rate("fp16") == old.rate("fp32")
    with pytest.raises(ValueError, match="dtype must be one that P40 computes in"):
        old.rate("bf16")
    with pytest.raises(ValueError, match="dtype must be one that P40 computes in"):
        old.rate("fp8")


def test_what_was_measured_replaces_the_table_and_nothing_else() -> None:
    table = device("2x H100")
    own = table.measured(bandwidth=2.9e12)
    assert own.measured_bandwidth == 2.9e12
    assert replace(own, measured_bandwidth=None) == table
    with pytest.raises(ValueError, match="measured_bandwidth must be in"):
        table.measured(bandwidth=-1.0)
    with pytest.raises(ValueError, match="measured_launch must be in"):
        table.measured(launch=0.0)
    with pytest.raises(ValueError, match="devices must be a whole number"):
        replace(table, count=0)
    assert isinstance(own, Device)


def rows_of(name: str) -> tuple[Row, ...]:
    """The rows of a table of facts, every cell checked."""
    places = (TABLES / f"{name}.csv", TABLES.parent / "prior" / f"{name}.csv")
    data = next(place for place in places if place.is_file()).read_bytes()
    cells = list(csv.reader(data.decode("utf-8").splitlines()))
    assert all(cell == cell.strip() for line in cells for cell in line)
    assert cells[0] == [column.name for column in FACTS[name].columns]
    return parse_table(data, name, FACTS[name]).rows


@pytest.mark.parametrize(
    ("name", "column", "mark"),
    [("models", "aliases", ";"), ("formats", "aliases", ";"), ("stacks", "engines", ";"),
     ("tasks", "words", None), ("drafters", "name", ";"), ("costs_parameters", "name", ";"),
     ("heads_spreads", "effect", ";")],
)  # fmt: skip
def test_no_name_of_a_table_means_two_of_its_rows(name: str, column: str, mark: str | None) -> None:
    seen: dict[str, Row] = {}
    for row in rows_of(name):
        for word in filter(None, str(row[column]).split(mark)):
            assert seen.setdefault(word, row) is row, word


def test_a_model_is_what_its_row_says() -> None:
    for row in rows_of("models"):
        shape = models()[str(row["name"])].shape
        for field in fields(shape):
            value = row[field.name]
            if value not in (None, ""):
                value = value == "yes" if field.type == "bool" else value
                assert getattr(shape, field.name) == value


def test_a_device_is_what_its_row_says_and_a_machine_holds_so_many_of_one() -> None:
    for row in rows_of("devices"):
        found = devices()[str(row["name"])]
        rates = {k: v / 1e12 for k, v in found.rates.items()}
        stated = {k: row[k] for k in ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4")}
        assert rates == pytest.approx({k: v for k, v in stated.items() if v is not None})
        assert found.memory == pytest.approx(1e9 * float(str(row["memory"])))
        assert found.bandwidth == pytest.approx(1e9 * float(str(row["bandwidth"])))
    for row in rows_of("machines"):
        held = device(str(row["name"]))
        assert (held.name, held.count) == (row["device"], row["count"])


def test_keys_of_an_architecture_are_of_fields_of_the_shape() -> None:
    for row in rows_of("architectures"):
        wanted = {pair.split("=")[0] for pair in architectures()[str(row["type"])].keys.split()}
        assert wanted <= {field.name for field in fields(ModelShape)}


def test_every_row_says_where_it_is_from() -> None:
    assert all(entry.source for entry in models().values())
    assert all(found.source for found in devices().values())
