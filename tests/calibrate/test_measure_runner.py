"""Passes over rows at different lengths: the logits of a plain forward, whatever came before."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.measure.limits import PROVEN, cache_keyword, context_limit, require_agreement  # noqa: E402  # noqa: E402
from howspec.calibrate.measure.rowcache import PassGraphs  # noqa: E402
from howspec.calibrate.measure.runner import BUCKET, Runner  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

VOCABULARY = 101
SMALL: dict[str, dict[str, Any]] = {
    "llama": {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48},
    "gpt2": {"n_head": 4},
    "gpt_neox": {"num_attention_heads": 4, "intermediate_size": 48},
    "bloom": {"n_head": 3, "hidden_size": 24},
    "qwen2": {"num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 48},
    "qwen3": {
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "head_dim": 12,
    },
    "mistral": {
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "sliding_window": 24,
    },
    "gemma3_text": {
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "intermediate_size": 48,
        "head_dim": 8,
        "sliding_window": 24,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}


@cache
def small(model_type: str, attention: str | None = None) -> Any:
    """A model of two layers with weights large enough that its logits depend on every token."""
    values = {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": VOCABULARY}
    values |= {"max_position_embeddings": 512, "pad_token_id": None, "bos_token_id": 1}
    values |= {"eos_token_id": 2} | SMALL[model_type]
    config = transformers.AutoConfig.for_model(model_type, **values)
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def plain(model: Any, tokens: list[int]) -> Any:
    return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


STEPS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6
)


@pytest.mark.parametrize("model_type", SMALL)
@settings(max_examples=12)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_any_extends_and_rollbacks_give_the_logits_of_the_plain_forward(
    model_type: str, steps: list[tuple[int, int, int]], seed: int
) -> None:
    model = small(model_type)
    runner = Runner(model, batch=2, capacity=60)
    generator = torch.Generator().manual_seed(seed)
    rows: list[list[int]] = [[], []]
    for n, *back in steps:
        tokens = torch.randint(0, VOCABULARY, (2, n), generator=generator)
        logits = runner.extend(tokens)
        assert logits.shape == (2, n, VOCABULARY)
        for i, row in enumerate(rows):
            row.extend(tokens[i].tolist())
            assert torch.allclose(logits[i], plain(model, row)[-n:], atol=1e-4, rtol=0)
        rows = [row[: max(0, len(row) - b)] for row, b in zip(rows, back, strict=True)]
        runner.rollback([len(row) for row in rows])
        assert runner.lengths.tolist() == [len(row) for row in rows]


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bloom"])
def test_eager_attention_gives_the_same_logits_as_the_plain_forward(model_type: str) -> None:
    model = small(model_type, "eager")
    runner = Runner(model, batch=2, capacity=40)
    tokens = torch.arange(40).view(2, 20) % VOCABULARY
    runner.extend(tokens[:, :7])
    runner.rollback([7, 3])
    logits = runner.extend(torch.stack([tokens[0, 7:12], tokens[1, 3:8]]))
    assert torch.allclose(logits[0], plain(model, tokens[0, :12].tolist())[-5:], atol=1e-4, rtol=0)
    assert torch.allclose(logits[1], plain(model, tokens[1, :8].tolist())[-5:], atol=1e-4, rtol=0)


def test_a_bloom_model_still_takes_its_two_dimensional_mask() -> None:
    model = small("bloom")
    tokens = torch.arange(6)[None]
    mask = torch.tensor([[0, 0, 1, 1, 1, 1]])
    padded = model(input_ids=tokens, attention_mask=mask).logits[0, 2:]
    Runner(model, batch=1, capacity=8)
    again = model(input_ids=tokens, attention_mask=mask).logits[0, 2:]
    assert torch.equal(padded, again)
    assert torch.allclose(again, plain(model, [2, 3, 4, 5]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bloom"])
@pytest.mark.parametrize("sizes", [(70, 70), (1, 90), (33, 2), (1, 1)])
def test_a_prefill_of_any_lengths_ends_at_the_logits_of_the_last_token(
    model_type: str, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("howspec.calibrate.measure.runner.PREFILL_TOKENS", 32)
    model = small(model_type)
    runner = Runner(model, batch=2, capacity=128)
    prompts = [[(7 * i + k) % VOCABULARY for i in range(size)] for k, size in enumerate(sizes)]
    logits = runner.prefill(prompts)
    assert runner.lengths.tolist() == list(sizes)
    following = runner.extend(torch.tensor([[3], [4]]))
    for i, prompt in enumerate(prompts):
        assert torch.allclose(logits[i], plain(model, prompt)[-1], atol=1e-4, rtol=0)
        after = plain(model, [*prompt, 3 + i])[-1]
        assert torch.allclose(following[i, 0], after, atol=1e-4, rtol=0)


def test_occupied_rows_hold_the_length_and_run() -> None:
    runner = Runner(small("llama"), batch=3, capacity=200)
    runner.occupy(150)
    assert runner.lengths.tolist() == [150] * 3
    assert torch.isfinite(runner.extend(torch.zeros(3, 4, dtype=torch.long))).all()
    with pytest.raises(ValueError, match="length must be 0 to 200"):
        runner.occupy(201)


def test_a_pass_reads_no_further_than_the_bucket_of_the_longest_row() -> None:
    runner = Runner(small("llama"), batch=2, capacity=10 * BUCKET)
    seen = []
    attention = nn.functional.scaled_dot_product_attention

    def spy(query: Any, key: Any, value: Any, **options: Any) -> Any:
        seen.append(key.shape[2])
        return attention(query, key, value, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "scaled_dot_product_attention", spy)
        for length in (0, BUCKET - 1, BUCKET, 5 * BUCKET + 3):
            runner.occupy(length)
            runner.extend(torch.zeros(2, 1, dtype=torch.long))
    assert set(seen) == {BUCKET, 2 * BUCKET, 6 * BUCKET}


def test_heads_that_share_keys_read_the_cache_once_and_the_model_stays_as_it_was() -> None:
    model = small("qwen3")
    seen = []
    attention = nn.functional.scaled_dot_product_attention

    def spy(query: Any, key: Any, value: Any, **options: Any) -> Any:
        seen.append((tuple(query.shape), tuple(key.shape), key.data_ptr()))
        return attention(query, key, value, **options)

    runner = Runner(model, batch=3, capacity=BUCKET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "scaled_dot_product_attention", spy)
        runner.extend(torch.zeros(3, 5, dtype=torch.long))
        caches = [row.keys.data_ptr() for row in runner._cache.rows]
    # Two query heads share each of two keys: ten rows of one attention, straight on the cache.
    assert seen == [((3, 2, 10, 12), (3, 2, BUCKET, 12), pointer) for pointer in caches]
    assert model.config._attn_implementation == "sdpa"


def test_bad_shapes_and_lengths_are_named() -> None:
    model = small("gpt2")
    assert context_limit(model) == 512
    with pytest.raises(ValueError, match="capacity must be 1 to 512"):
        Runner(model, batch=1, capacity=513)
    with pytest.raises(ValueError, match="batch must be at least 1, given 0"):
        Runner(model, batch=0, capacity=8)
    runner = Runner(model, batch=2, capacity=8)
    with pytest.raises(ValueError, match="given \\(1, 3\\)"):
        runner.extend(torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        runner.prefill([[1], []])
    with pytest.raises(ValueError, match="needs 2 prompts, given 1"):
        runner.prefill([[1]])
    runner.prefill([[1, 2, 3], [4]])
    with pytest.raises(ValueError, match="3 tokens and 6 more do not fit a capacity of 8"):
        runner.extend(torch.zeros(2, 6, dtype=torch.long))
    with pytest.raises(ValueError, match="2 lengths"):
        runner.rollback([1])


def test_graphs_need_a_cuda_device() -> None:
    with pytest.raises(ValueError, match="graphs need a CUDA device, the model is on cpu"):
        Runner(small("llama"), batch=1, capacity=8, graphs=True)
    with pytest.raises(ValueError, match="graphs need a CUDA device, given cpu"):
        PassGraphs(lambda tokens, bucket: tokens, torch.zeros(1))


def test_an_architecture_that_ignores_the_positions_is_refused() -> None:
    class Deaf(nn.Module):
        """Logits from the tokens and their place in the call: positions and mask change nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = small("llama")
            self.config = transformers.AutoConfig.for_model("mistral", vocab_size=VOCABULARY)
            self.config.sliding_window = None
            self.dtype = torch.float32

        def get_input_embeddings(self) -> Any:
            return self.inner.get_input_embeddings()

        def get_output_embeddings(self) -> Any:
            return self.inner.get_output_embeddings()

        def forward(self, input_ids: Any, position_ids: Any = None, **options: Any) -> Any:
            return self.inner(input_ids=input_ids, use_cache=False)

    assert "mistral" not in PROVEN
    with pytest.raises(ValueError, match="gives other logits with a cache whose rows"):
        Runner(Deaf(), batch=1, capacity=8)
    require_agreement(small("mistral"), Runner)


def _forward_with(name: str) -> Any:
    """A Llama model whose forward knows the cache by this name alone, whatever the release."""
    model = copy.deepcopy(small("llama"))
    inner, known = model.forward, cache_keyword(model)

    def cached(held: Any, **more: Any) -> Any:
        assert held is not None, "the cache came under another name"
        return inner(**more | {known: held})

    def new(input_ids: Any, position_ids: Any, *, cache: Any = None, **more: Any) -> Any:
        return cached(cache, input_ids=input_ids, position_ids=position_ids, **more)

    def old(input_ids: Any, position_ids: Any, *, past_key_values: Any = None, **more: Any) -> Any:
        return cached(past_key_values, input_ids=input_ids, position_ids=position_ids, **more)

    def passed_on(position_ids: Any, **options: Any) -> Any:
        return inner(position_ids=position_ids, **options)

    def neither(input_ids: Any, attention_mask: Any = None) -> Any:
        return inner(input_ids=input_ids)

    forwards = {"cache": new, "past_key_values": old, "any option": passed_on, "none": neither}
    model.forward = forwards[name]
    return model


@pytest.mark.parametrize("name", ["cache", "past_key_values", "any option"])
def test_a_forward_is_given_its_cache_under_the_name_that_it_knows(name: str) -> None:
    model = _forward_with(name)
    own = cache_keyword(small("llama"))
    assert cache_keyword(model) == (own if name == "any option" else name)
    runner = Runner(model, batch=1, capacity=16)
    runner.prefill([[5, 6, 7]])
    logits = runner.extend(torch.tensor([[8, 9]]))
    expected = plain(small("llama"), [5, 6, 7, 8, 9])[-2:]
    assert torch.allclose(logits[0], expected, atol=1e-4, rtol=0)


def test_a_forward_without_a_cache_is_refused_and_its_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="`past_key_values` to be measured, it takes input_ids, a"):
        Runner(_forward_with("none"), batch=1, capacity=8)


def test_layers_with_a_state_that_cannot_be_taken_back_are_refused() -> None:
    model = small("llama")
    model.config.layer_types = ["full_attention", "linear_attention"]
    try:
        with pytest.raises(ValueError, match="kind linear_attention"):
            Runner(model, batch=1, capacity=8)
    finally:
        del model.config.layer_types


@pytest.mark.parametrize("model_type", ["mistral", "gemma3_text"])
def test_rows_longer_than_a_sliding_window_see_the_window_alone(model_type: str) -> None:
    model = small(model_type)
    runner = Runner(model, batch=2, capacity=80)
    rows = [[(5 * i + 1) % VOCABULARY for i in range(45)], [i % VOCABULARY for i in range(31)]]
    runner.prefill(rows)
    new = [[9, 8, 7], [6, 5, 4]]
    logits = runner.extend(torch.tensor(new))
    for i in range(2):
        expected = plain(model, rows[i] + new[i])[-3:]
        assert torch.allclose(logits[i], expected, atol=1e-4, rtol=0)


def test_a_bound_makes_room_and_prompts_may_follow_lengths_that_only_the_device_knows() -> None:
    model = small("llama")
    runner = Runner(model, batch=2, capacity=80)
    runner.prefill([list(range(40)), list(range(40))])
    runner.rollback(torch.tensor([20, 11]), most=20)
    with pytest.raises(ValueError, match=r"between 0 and the present \[20, 11\], given \[21, 11\]"):
        runner.rollback([21, 11])
    logits = runner.prefill([list(range(60, 90)), list(range(50))])
    assert runner.lengths.tolist() == [50, 61]
    expected = plain(model, [*range(20), *range(60, 90)])[-1]
    assert torch.allclose(logits[0], expected, atol=1e-4, rtol=0)
    expected = plain(model, [*range(11), *range(50)])[-1]
    assert torch.allclose(logits[1], expected, atol=1e-4, rtol=0)
