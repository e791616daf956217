"""Run by vLLM's own Python: do its argument parser and SpeculativeConfig take these options?

Reads a JSON list of {"command": options, "target": folder} and prints a list of what was wrong with
each, "" where nothing was. What SpeculativeConfig looks up in a draft's own files (heads of other
targets) is told as "needs ...".
"""

from __future__ import annotations

import json
import shlex
import sys
from typing import get_args

from vllm.config import ModelConfig, ParallelConfig, SpeculativeConfig
from vllm.config.speculative import SpeculativeMethod
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser


def _methods(literal: object) -> set[str]:
    found: set[str] = set()
    for part in get_args(literal):
        found |= {part} if isinstance(part, str) else _methods(part)
    return found


def wrong(parser: FlexibleArgumentParser, command: str, target: str) -> str:
    """What vLLM says of the options, "" where it takes them."""
    try:
        config = parser.parse_args(shlex.split(command)).speculative_config
    except SystemExit as error:
        return f"the parser left with {error.code}"
    if config is None:
        return "" if not command else "no speculative_config came of it"
    strange = set(config) - set(SpeculativeConfig.__dataclass_fields__)
    if strange:
        return f"no field of SpeculativeConfig: {', '.join(sorted(strange))}"
    if config.get("method") not in {None, *_methods(SpeculativeMethod)}:
        return f"no method of SpeculativeConfig: {config['method']}"
    model = ModelConfig(target, dtype="float32", skip_tokenizer_init=True, max_model_len=256)
    try:
        SpeculativeConfig(
            **config, target_model_config=model, target_parallel_config=ParallelConfig()
        )
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ""


def main() -> None:
    parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
    found = [wrong(parser, one["command"], one["target"]) for one in json.load(sys.stdin)]
    print("ACCEPTED " + json.dumps(found))


main()
