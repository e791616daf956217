"""Questions to every verb, asked from Python and from the command line, and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG = (
    "INFO 05-18 11:19:54 [metrics.py:101] SpecDecoding metrics: Mean acceptance length: 3.42, "
    "Accepted throughput: 67.60 tokens/s, Drafted throughput: 83.70 tokens/s, Accepted: 676 "
    "tokens, Drafted: 837 tokens, Per-position acceptance rate: 0.921, 0.828, 0.674, Avg Draft "
    "acceptance rate: 80.8%\n"
)
PASSES = "pass,batch,tokens,time_ms\n" + "".join(
    f"{role},{batch},{tokens},{time * (1 + 0.05 * (batch - 1) * tokens):.4f}\n"
    for role, time in (("target", 10.0), ("draft", 1.0))
    for batch in (1, 4, 16)
    for tokens in ((1, 2, 4, 8) if role == "target" else (1,))
)
SWEEP = "target,draft,k,speedup,tokens_per_round\n" + "".join(
    f"big,small,{k},{s},{t}\n" for k, s, t in ((1, 1.4, 1.7), (2, 1.7, 2.2), (4, 1.8, 2.9))
)
GRID = "target,draft,batch,k,tok/s\n" + "".join(
    f"big,small,{batch},{k},{speed * batch**0.8:.2f}\n"
    for batch, speeds in ((1, (40, 61, 70, 72)), (8, (38, 52, 50, 47)), (32, (36, 35, 31, 27)))
    for k, speed in enumerate(speeds)
)
LAW = {"law": "affine", "cost_ratio": 0.05, "verify_slope": 0.01}
SECONDS = {"law": "affine", "cost_ratio": 0.05, "step": 0.01, "unit": "s"}
CONFIG = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 512,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip
LAYERS = {"large": 16, "small": 2}

PAIR = {"target": "Llama-3.1-8B", "draft": "Llama-3.2-1B", "device": "H100"}
BIG = {"target": "Qwen2.5-72B", "device": "4x H100 SXM"}
HEAD = {"target": "Llama-3.1-8B", "draft": "EAGLE3", "device": "L40S"}
OWN = {"target": "large/config.json", "draft": "small/config.json", "costs": "costs.json",
       "stack": "eager"}  # fmt: skip
BASE = {"baseline_tokens_per_s": "50", "speculative_tokens_per_s": "41"}
BLOOM = {"source": "paper_bloom_grid", "target": "BLOOM-7.1B"}
QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("predict", {"acceptance": 0.8, "costs": 0.05}),
    ("predict", {"acceptance": 0.3, "costs": 0.4}),
    ("predict", {"acceptance": 0.8, "costs": 0.05, "verify_slope": 0.02, "overhead": 0.1,
                 "decay": 0.95}),
    ("predict", {"acceptance": 1.0, "costs": 0.0, "gamma_max": 40}),
    ("predict", {"acceptance": "depth:alpha=0.8,decay=0.9", "costs": 0.1}),
    ("predict_sweep", BLOOM),
    ("predict_sweep", BLOOM | {"draft": "BLOOM-1.1B", "gamma_max": 10}),
    ("predict_sweep", {"source": "sweep.csv"}),
    ("predict", PAIR | {"task": "chat", "context": 500.0}),
    ("predict", PAIR | {"batch": 64.0, "temperature": 1.0}),
    ("predict", PAIR | {"acceptance": 0.75, "price_per_hour": 3.0, "power_w": 700.0}),
    ("predict", PAIR | {"acceptance": 0.75, "alpha_tokens": 500.0, "task": "code"}),
    ("predict", PAIR | {"acceptance": "engine.log"}),
    ("predict", PAIR | {"target": "Llama-3.1-70B"}),
    ("predict", HEAD | {"task": "chat"}),
    ("predict", {"acceptance_length": "2.4", "gamma": 5, "costs": 0.1}),
    ("predict", {"acceptance": "engine.log", "costs": 0.1, "gamma": 3}),
    ("predict", {"acceptance": "engine.log", "costs": "law.json"}),
    ("predict", {"acceptance": "engine.log", "costs": "passes.csv", "batch": 4.0}),
    ("predict", OWN | {"acceptance": 0.7}),
    ("rank", BIG | {"drafts": ["Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-7B"],
                    "batch": [1.0, 16.0], "context": 500.0}),
    ("rank", {"target": "Llama-3.1-8B", "drafts": ["Llama-3.2-1B", "EAGLE3"], "device": "H100",
              "task": "code"}),
    ("scale", BIG | {"task": "chat", "sizes": 7}),
    ("scale", {"target": "Llama-3.1-8B", "device": "RTX4090", "sizes": 5, "context": 2000.0}),
    ("crossover", PAIR | {"task": "chat"}),
    ("crossover", HEAD | {"task": "chat"}),
    ("crossover", {"acceptance": "engine.log", "costs": "passes.csv"}),
    ("explain", {"baseline_tokens_per_s": "41", "speculative_tokens_per_s": "72", "alpha": "0.8",
                 "gamma": 3}),
    ("explain", BASE | {"acceptance": "engine.log"}),
    ("explain", BASE | PAIR | {"acceptance": "engine.log"}),
    ("explain", {"plain_ms": "20", "round_ms": "45", "draft_step_ms": "4", "verify_ms": "26",
                 "acceptance_length": "2.6", "gamma": 4, "batch": 8.0}),
    ("schedule", {"acceptance": 0.73, "costs": 0.08, "verify_slope": 0.02}),
    ("schedule", {"acceptance": 0.73, "costs": 0.08, "verify_slope": 0.02, "engine": "vllm"}),
    ("schedule", {"acceptance": "engine.log", "costs": "passes.csv", "engine": "tensorrt-llm"}),
    ("schedule", {"acceptance": "engine.log", "costs": "law.json", "engine": "llama.cpp",
                  "batch": 2}),
    ("schedule", {"acceptance_length": "2.4", "gamma": 3, "costs": 0.1, "engine": "sglang"}),
    ("schedule", PAIR | {"task": "chat", "batch_max": 64}),
    ("schedule", HEAD | {"task": "chat", "batch_max": 64, "engine": "vllm"}),
    ("schedule", PAIR | {"acceptance": "engine.log", "engine": "sglang", "batch_max": 32}),
    ("schedule", OWN | {"acceptance": 0.7, "batch_max": 1}),
    ("schedule", {"sweep": "grid.csv"}),
    ("schedule", {"sweep": "grid.csv", "engine": "vllm", "method": "eagle3", "model": "m"}),
    ("simulate", {"acceptance": 0.8, "gamma": 5, "costs": 0.05, "rounds": 6400}),
    ("simulate", {"acceptance": "depth:alpha=0.8,decay=0.9", "gamma": 4, "costs": 0.1,
                  "rounds": 6400}),
    ("simulate", PAIR | {"acceptance": 0.7, "gamma": 3, "rounds": 6400}),
)  # fmt: skip
# What the command line calls what Python calls otherwise.
_OPTIONS = {"source": "sweep", "drafts": "draft"}
_VERBS = {"predict_sweep": "predict"}


def command(verb: str, given: dict[str, Any]) -> list[str]:
    """The arguments of the command line that ask the same, for one JSON object."""
    words = [_VERBS.get(verb, verb), "--json"]
    for name, value in given.items():
        words.append(f"--{_OPTIONS.get(name, name).replace('_', '-')}")
        words.append(",".join(map(str, value)) if isinstance(value, list) else str(value))
    return words


def write_files(folder: Path) -> None:
    """The files that the questions name."""
    (folder / "engine.log").write_text(LOG)
    (folder / "passes.csv").write_text(PASSES)
    (folder / "sweep.csv").write_text(SWEEP)
    (folder / "grid.csv").write_text(GRID)
    (folder / "law.json").write_text(json.dumps(LAW))
    (folder / "seconds.json").write_text(json.dumps(SECONDS))
    for name, layers in LAYERS.items():
        (folder / name).mkdir()
        config = json.dumps(CONFIG | {"num_hidden_layers": layers})
        (folder / name / "config.json").write_text(config)
    from howspec.calibrate.records import Record, write_record

    configs = {m: {"config": CONFIG | {"num_hidden_layers": n}} for m, n in LAYERS.items()}
    about = {"device": "generic", "dtype": "float32", "models": configs}
    write_record(Record("costs", {}, about, tuple(_points())), folder / "costs.json")


def _points() -> list[dict[str, Any]]:
    """Passes, draws and rounds of a pair, timed without scatter."""
    found: list[dict[str, Any]] = []
    at: dict[str, Any] = {"batch": 1, "mode": "eager", "context": 64}
    for n in range(1, 7):
        for model, time in (("large", 8e-3 + 2e-4 * (n - 1)), ("small", 1e-3)):
            found.append(
                {"operation": "pass", "model": model, "tokens": n, **at, "times_s": [time] * 3}
            )
    pair = {"model": "small", "target": "large", **at}
    found.append({"operation": "step", "tokens": 1, **pair, "times_s": [8e-3] * 20})
    for gamma in (1, 2, 3, 5):
        parts = {
            "first_draft_s": [1.5e-3] * 20, "draft_s": [1e-3 * (gamma - 1)] * 20,
            "draw_s": [0.0] * 20, "verify_s": [8e-3 + 2e-4 * gamma] * 20, "rule_s": [0.0] * 20,
            "other_s": [0.0] * 20,
        }  # fmt: skip
        if gamma == 1:
            parts.pop("draft_s")
        times = [sum(v[0] for v in parts.values())] * 20
        found.append({"operation": "round", "tokens": gamma, **pair, **parts,
                      "behind": [1, 2] * 10, "times_s": times})  # fmt: skip
    around = {"model": "large", "batch": 1, "mode": "temperature 0", "temperature": 0.0}
    for operation in ("draw", "verify"):
        found.append({"operation": operation, "tokens": 1, **around, "times_s": [1e-9]})
    return found
