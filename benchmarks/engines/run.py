"""Every emitted configuration against the engines' own parsers.

    python run.py VLLM_PYTHON LLAMA_SERVER SGLANG_FOLDER

SGLang's wheel is a folder that vLLM's Python imports. Each may be -, for an engine that is not
there. Prints a line for each configuration that an engine refuses, and ends with status 1 where
there is one. What vLLM needs besides (a head's weights, a package of its own) is counted apart.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import howspec
from howspec.calibrate.models.drafters import DRAFTERS
from howspec.sim.emit.synthetic import synthetic_settings

HERE = Path(__file__).resolve().parent
# A target of two layers, and a draft of its own: vLLM reads no weights to judge a configuration.
TINY = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "vocab_size": 128, "max_position_embeddings": 256,
}  # fmt: skip
# Says that the tiny target is none that the method runs on, or that a package is missing.
_NEEDS = ("Arctic Inference", "Unsupported speculative method: 'mtp'", "are not supported for now")
_COSTS = {"one gamma": 0.02, "several": 0.1, "none pays": 5.0}


def commands(engine: str, draft: str) -> Iterator[tuple[str, str]]:
    """(what it is, options) of every method, schedule and simulated acceptance."""
    for kind in DRAFTERS.values():
        method = kind.engines.get(engine)  # type: ignore[call-overload]
        if method is None:
            continue
        for name, ratio in _COSTS.items():
            made = howspec.schedule(
                acceptance=0.8, costs=ratio, verify_slope=0.05, batch_max=64, engine=engine,
                method=method, model=draft if kind.needs_path else None,
            )  # fmt: skip
            emission = made.emission
            assert emission is not None
            yield f"{engine}, {kind.name}, {name}", emission.command
    words = {"method": "draft_model", "model": draft} if engine == "vllm" else {}
    for wanted in ({"acceptance_length": 2.5}, {"rates": [0.8, 0.5, 0.2]}):
        made = synthetic_settings(engine, gamma=3, **wanted, **words)  # type: ignore[arg-type]
        yield f"{engine}, simulated {next(iter(wanted))}", made.command


def of_python(
    engine: str, python: str, folder: Path, packages: str | None = None
) -> list[tuple[str, str]]:
    """(what, what vLLM or SGLang says) of every configuration, "" where it takes it.

    packages: a folder that Python imports from besides its own.
    """
    (folder / "config.json").write_text(json.dumps(TINY))
    named = list(commands(engine, str(folder)))
    given = [{"command": c, "target": str(folder)} for _, c in named]
    more = {} if packages is None else {"PYTHONPATH": packages}
    done = subprocess.run(
        [python, str(HERE / f"{engine}_accepts.py")], input=json.dumps(given), text=True,
        capture_output=True, timeout=1800, env={**os.environ, **more},
    )  # fmt: skip
    lines = [x for x in done.stdout.splitlines() if x.startswith("ACCEPTED ")]
    if not lines:
        raise SystemExit(f"{engine} did not answer: {done.stderr[-500:]}")
    said = json.loads(lines[-1].removeprefix("ACCEPTED "))
    return [(what, text) for (what, _), text in zip(named, said, strict=True)]


def of_llama_cpp(server: str) -> list[tuple[str, str]]:
    """(what, what llama-server says); it parses its options before it prints its version."""
    found = []
    for what, command in commands("llama.cpp", "draft.gguf"):
        done = subprocess.run(
            [server, *shlex.split(command), "--version"], text=True, capture_output=True,
            timeout=120,
        )  # fmt: skip
        said = "" if done.returncode == 0 else " ".join(done.stderr.split())[-200:]
        found.append((what, said))
    return found


def main(vllm: str, llama: str, sglang: str = "-") -> int:
    found: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        if vllm != "-":
            found += of_python("vllm", vllm, Path(folder))
            if sglang != "-":
                found += of_python("sglang", vllm, Path(folder), sglang)
    if llama != "-":
        found += of_llama_cpp(llama)
    needs = [f for f in found if any(n in f[1] for n in _NEEDS)]
    wrong = [f for f in found if f[1] and f not in needs]
    for what, said in (*needs, *wrong):
        print(f"{what}: {said}")
    print(f"{len(found)} configurations, {len(needs)} need more than is here, {len(wrong)} refused")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:4]))
