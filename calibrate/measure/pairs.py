"""Models that transformers can load: by hub name, from a folder, or with random weights.

Weights are read from safetensors, or from one file of GGUF and dequantised; no code that comes with
a model runs unless asked for.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from .sources import (
    check_device,
    check_dtype,
    config_from_family,
    family_model,
    folder_hash,
    is_gguf,
    located,
    model_called,
    model_source,
    only_here,
)

_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode with what it is: identity names revision, size and dtype."""

    name: str
    model: Any
    config: Any
    tokenizer: Any | None
    identity: dict[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def logits(self) -> int:
        """Rows of the output: the vocabulary with its padding."""
        return int(self.config.get_text_config().vocab_size)


def choose_device(device: str = "auto") -> torch.device:
    """`auto` is the GPU where there is one; otherwise the device by name."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_device(device)
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for and there is no CUDA device here")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device!r} was asked for and there are {torch.cuda.device_count()} here"
        )
    return chosen


def choose_dtype(dtype: str = "auto", *, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 on a GPU and float32 on a CPU; otherwise the number format by name."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    check_dtype(dtype)
    chosen: torch.dtype = getattr(torch, dtype)
    return chosen


def load_model(
    name_or_folder: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    random_weights: bool = False,
    seed: int = 0,
) -> LoadedModel:
    """A causal language model in evaluation mode, with its tokenizer where it has one.

    name_or_folder: a hub name, a folder in the hub's layout, a file of GGUF, a name of
    `families.toml`; with random_weights also the JSON file of a configuration. Raises ValueError,
    in one line, for what cannot be loaded.
    """
    place = choose_device(device)
    number = choose_dtype(dtype, device=place)
    given = str(name_or_folder)
    path = Path(given).expanduser()
    source = _Source(model_source(given, random_weights=random_weights), path, trust_remote_code)
    config = _config(source, random_weights=random_weights)
    if random_weights:
        model = _random_model(config, place, dtype=number, seed=seed, trust=trust_remote_code)
    else:
        model = _trained_model(source, device=place, dtype=number)
    model.eval().requires_grad_(False)
    name = model_called(given)
    identity = {
        "name": name,
        "model_type": config.model_type,
        "parameters": sum(p.numel() for p in model.parameters()),
        "layers": int(config.get_text_config().num_hidden_layers),
        "dtype": str(number).removeprefix("torch."),
        "random_weights": random_weights,
        "config": plain_config(config),
    }
    if random_weights:
        identity |= {"seed": seed, "config_sha256_16": _config_hash(config)}
    elif path.exists():
        identity["sha256_16"] = folder_hash(path)
        if path.is_file():
            identity["weights"] = "GGUF, dequantised"
    else:
        identity["revision"] = getattr(config, "_commit_hash", None)
    # Nothing is downloaded for random weights.
    tokenizer = None if random_weights and not path.is_dir() else _tokenizer(source)
    return LoadedModel(name, model, config, tokenizer, identity)


def plain_config(config: Any) -> dict[str, Any]:
    """What of a configuration is text, a truth value or a number: the shape of the model.

    A record keeps it, so that a model's own file is not needed to know what was timed. Where the
    model was loaded from is left out.
    """
    values = {k: v for k, v in config.get_text_config().to_dict().items() if not k.startswith("_")}
    return {k: v for k, v in sorted(values.items()) if isinstance(v, str | bool | int | float)}


def quieten() -> None:
    """Let transformers report errors only: its advice is not for those who measure."""
    import logging
    import sys

    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    transformers: Any = transformers_logging
    transformers.set_verbosity_error()
    transformers.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.stderr.isatty():  # a download of gigabytes is worth a bar to who watches
        disable_progress_bars()


def _config_hash(config: Any) -> str:
    values = {k: v for k, v in config.to_dict().items() if k != "transformers_version"}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Source:
    """Where a model is read from; trust: whether code that comes with it may run."""

    name: str
    path: Path
    trust: bool

    def options(self, **more: Any) -> dict[str, Any]:
        """What every reader of transformers is given."""
        where, file = located(self.name)
        fixed = {"trust_remote_code": self.trust, "local_files_only": only_here(self.name)}
        return {"pretrained_model_name_or_path": where, **fixed, **file, **more}

    def read(self, reader: Any, **more: Any) -> Any:
        """What a reader makes of it. Raises ValueError, in one line, where it cannot be read."""
        options = self.options(**more)
        try:
            # Transformers draws a bar over the tensors of a file of GGUF, terminal or not.
            with redirect_stderr(StringIO()) if "gguf_file" in options else nullcontext():
                return reader.from_pretrained(**options)
        except Exception as error:  # the readers of weights raise nothing narrower
            text = str(error)
            if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
                raise
            if "ignore_mismatched_sizes" in text:
                reason = "its weights have other shapes than its config.json says"
            elif "trust_remote_code" in text or "custom code" in text:
                reason = "it comes with code of its own, which does not run unless asked for"
            elif self.path.exists():
                reason = f"cannot be loaded: {_first_line(error)}"
            elif "safetensors" in text:
                reason = "the hub has no safetensors of it, and pickled weights are not loaded"
            elif "gated" in text or "401" in text or "403" in text:
                reason = "the hub wants a login for it; download it and give the folder"
            else:
                reason = (
                    "is no folder here and the hub did not give it (no network, or no such name): "
                    f"{_first_line(error)}"
                )
            raise ValueError(f"{self.name}: {reason}") from None


def _config(source: _Source, *, random_weights: bool) -> Any:
    from transformers import AutoConfig

    path = source.path
    found = family_model(str(path))
    if random_weights and found is not None and found.model_type and not path.exists():
        return config_from_family(found.name)
    if path.is_file() and not is_gguf(path):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return AutoConfig.for_model(values.pop("model_type"), **values)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"{path}: not the configuration of a model: {error!r}") from None
    return source.read(AutoConfig)


def _trained_model(source: _Source, *, device: torch.device, dtype: Any) -> Any:
    """The model with the weights of its files: what they lack transformers would draw at random."""
    from transformers import AutoModelForCausalLM

    model, found = source.read(
        AutoModelForCausalLM, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    missing = sorted(found["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(
            f"{source.name}: its files lack weights that its config.json asks for: "
            f"{missing[0]}{more}"
        )
    if source.path.is_file():
        _dequantised(model)
    return model.to(device)


def _dequantised(model: Any) -> None:
    """Drop the mark of packed weights, which are unpacked by now: nothing marked so is saved."""
    model.hf_quantizer = None
    for config in (model.config, model.config.get_text_config()):
        if getattr(config, "quantization_config", None) is not None:
            del config.quantization_config


def _random_model(
    config: Any, device: torch.device, *, dtype: torch.dtype, seed: int, trust: bool
) -> Any:
    """Weights drawn on the device in their number format; the caller's generators stay put."""
    from transformers import AutoModelForCausalLM

    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        with device:
            try:
                build: Any = AutoModelForCausalLM.from_config
                return build(config, dtype=dtype, trust_remote_code=trust)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"no causal language model of this kind: {error}") from None


def _tokenizer(source: _Source) -> Any | None:
    """The tokenizer, or None where there is none: costs are measured without one."""
    from transformers import AutoTokenizer

    path = source.path
    if path.is_dir() and not any((path / n).exists() for n in _TOKENIZERS):
        return None
    options = source.options()
    try:
        return AutoTokenizer.from_pretrained(**options)
    except Exception as error:  # the readers of tokenizers raise nothing narrower
        if not path.exists():
            return None
        raise ValueError(f"{path}: its tokenizer cannot be read: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
