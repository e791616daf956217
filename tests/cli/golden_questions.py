"""Questions to every verb, and the files that they ask about: what `goldens.json` was made of."""

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
LAW = {"law": "affine", "cost_ratio": 0.05, "verify_slope": 0.01}
SECONDS = {"law": "affine", "cost_ratio": 0.05, "step": 0.01, "unit": "s"}
CONFIG = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 512,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip
LAYERS = {"large": 16, "small": 2}

PAIR = "--target Llama-3.1-8B --draft Llama-3.2-1B --device H100"
BIG = "--target Qwen2.5-72B --device '4x H100 SXM'"
HEAD = "--target Llama-3.1-8B --draft EAGLE3 --device L40S"
OWN = (
    "--target large/config.json --draft small/config.json --costs costs.json --stack eager "
    "--device cpu"
)
QUESTIONS = (
    "predict --alpha 0.8 --cost-ratio 0.05",
    "predict --alpha 0.3 --cost-ratio 0.4",
    "predict --alpha 0.8 --cost-ratio 0.05 --verify-slope 0.02 --overhead 0.1 --decay 0.95",
    "predict --alpha 1 --cost-ratio 0 --gamma-max 40",
    "predict --sweep paper_bloom_grid --target BLOOM-7.1B",
    "predict --sweep paper_bloom_grid --target BLOOM-7.1B --draft BLOOM-1.1B --gamma-max 10",
    "predict --sweep sweep.csv",
    f"predict {PAIR} --task chat --context 500",
    f"predict {PAIR} --batch 64 --context 1000 --temperature 1",
    f"predict {PAIR} --alpha 0.75",
    f"predict {PAIR} --alpha 0.75 --alpha-tokens 500 --task code",
    f"predict {PAIR} --statistics engine.log",
    "predict --target Llama-3.1-70B --draft Llama-3.2-1B --device H100",
    f"predict {HEAD} --task chat --context 1000",
    "predict --acceptance-length 2.4 --gamma 5 --cost-ratio 0.1",
    "predict --statistics engine.log --cost-ratio 0.1 --gamma 3",
    "predict --statistics engine.log --costs law.json",
    "predict --statistics engine.log --costs passes.csv --batch 4",
    f"predict {OWN} --alpha 0.7",
    f"rank {BIG} --drafts Qwen2.5-0.5B,Qwen2.5-1.5B,Qwen2.5-7B --batch 1,16 --context 500",
    "rank --target Llama-3.1-8B --drafts Llama-3.2-1B --device H100 --task code",
    f"scale {BIG} --task chat --sizes 7",
    "scale --target Llama-3.1-8B --device RTX4090 --sizes 5 --context 2000",
    f"crossover {PAIR} --task chat",
    f"crossover {HEAD} --task chat",
    "explain --baseline-tokens-per-s 41 --speculative-tokens-per-s 72 --alpha 0.8 --gamma 3",
    "explain --baseline-tokens-per-s 50 --speculative-tokens-per-s 41 --statistics engine.log",
    "explain --plain-step-ms 20 --round-ms 45 --draft-step-ms 4 --verify-ms 26 "
    "--acceptance-length 2.6 --gamma 4 --batch 8",
    "schedule --alpha 0.73 --cost-ratio 0.08 --verify-slope 0.02",
    "schedule --alpha 0.73 --cost-ratio 0.08 --verify-slope 0.02 --engine vllm",
    "schedule --statistics engine.log --passes passes.csv --engine tensorrt-llm",
    "schedule --statistics engine.log --cost law.json --engine llama.cpp --batch 2",
    "schedule --acceptance-length 2.4 --gamma 3 --cost-ratio 0.1 --engine sglang",
    f"schedule {PAIR} --task chat --context 1000 --batch-max 64",
    f"schedule {HEAD} --task chat --context 1000 --engine vllm --batch-max 64",
    f"schedule {PAIR} --statistics engine.log --engine sglang --batch-max 32",
    "simulate --alpha 0.8 --gamma 5 --cost-ratio 0.05 --rounds 6400",
    "simulate --law depth:alpha=0.8,decay=0.9 --gamma 4 --cost-ratio 0.1 --rounds 6400",
    "simulate --alpha 0.7 --policy heuristic:initial=5 --cost-ratio 0.1 --tokens 64 --requests 64",
    "import auto engine.log",
    "synthetic --acceptance-length 2.4 --gamma 5 --engine vllm",
)  # fmt: skip


def write_files(folder: Path) -> None:
    """The files that the questions name."""
    (folder / "engine.log").write_text(LOG)
    (folder / "passes.csv").write_text(PASSES)
    (folder / "sweep.csv").write_text(SWEEP)
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
