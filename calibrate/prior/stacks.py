"""Stacks of software that costs are told apart by, and the engines that are of each."""

from __future__ import annotations

import re

from ..library.load import nearest_first

STACKS = ("eager", "graphs", "serving", "llama.cpp", "mlx", "xla")
_ENGINES = {
    "eager": (
        "transformers", "hf", "hf transformers", "huggingface", "pytorch", "torch", "litgpt",
    ),
    "graphs": (
        "cuda-graphs", "cuda graphs", "compiled", "captured", "gpt-fast", "torch.compile", "mlc",
        "mlc-llm", "openvino", "openvino-genai", "openvino genai", "onnxruntime-genai",
        "optimum-habana",
    ),
    "serving": (
        "engine", "vllm", "sglang", "tensorrt-llm", "trt-llm", "trtllm", "tensorrt-edge-llm",
        "lmdeploy", "tgi", "text-generation-inference", "tokenspeed", "atom", "mistral.rs",
        "dynamo", "nim", "vllm-ascend", "vllm-xpu", "mindie", "aphrodite", "lightllm", "xllm",
        "rtp-llm", "nano-vllm", "mini-sglang", "deepspeed-mii", "exllama", "exllamav2",
        "exllamav3", "tabbyapi",
    ),
    "llama.cpp": (
        "llamacpp", "llama-server", "llama-cpp-python", "ollama", "lm-studio", "lm studio",
        "lmstudio", "ik_llama.cpp", "ik_llama", "koboldcpp", "llamafile", "gpt4all", "jan",
        "ramalama",
    ),
    "mlx": (
        "mlx_lm", "mlx-lm", "mlx-vlm", "mlx-engine", "vllm-mlx", "vllm-metal", "omlx",
        "rapid-mlx", "mtplx", "mlx-dspark", "dflash-mlx",
    ),
    "xla": ("jax", "tpu", "maxtext", "jetstream", "sglang-jax", "neuron", "neuronx"),
}  # fmt: skip
ENGINES = {engine: stack for stack, engines in _ENGINES.items() for engine in engines}
_SHOWN = ("vllm", "sglang", "tensorrt-llm", "transformers", "gpt-fast", "ollama", "mlx_lm", "jax")
_VERSION = re.compile(r"[\s@=-]+v?\d[\w.+-]*$")


def stack_name(name: str) -> str:
    """The stack of that name, or of an engine of that name: ``vLLM`` and ``vllm 0.11`` are
    ``serving``.

    Raises ValueError listing the stacks, and the engines nearest to an unknown name.
    """
    key = name.strip().casefold()
    for short in (key, _VERSION.sub("", key)):
        stack = ENGINES.get(short, short)
        if stack in STACKS:
            return stack
    near = ", ".join(nearest_first(key, ENGINES)[:3])
    raise ValueError(
        f"stack must be one of {', '.join(STACKS)}, or an engine such as {', '.join(_SHOWN)}; "
        f"nearest: {near}; got {name!r}"
    )
