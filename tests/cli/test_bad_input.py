"""What cannot be is one line on stderr and status 2, whatever verb is asked; no file is touched."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from command import call

PAIR = "--target Llama-3.1-8B --draft Llama-3.2-1B"
NAMES = f"{PAIR} --device H100 --task chat"
QWEN = "--target Qwen2.5-32B --device '2x A100 80GB'"
LADDER = "--draft Qwen2.5-0.5B,Qwen2.5-1.5B --draft Qwen2.5-7B"
MEASURED = "--baseline-tokens-per-s 50 --speculative-tokens-per-s 41"
SIMULATED = "--alpha 0.8 --gamma 5 --cost-ratio 0.05 --rounds 64000"
GRID = '--cost-ratio 0.05 --rounds 64000 --grid "alpha=0.6,0.8 gamma=1,3"'
RULE = "--alpha 0.7 --gamma 3 --cost-ratio 0.05 --rounds 100000"
TIMES = "target_fixed=0.006,target_token=2e-5,target_kv=4e-8,draft_fixed=0.002,overhead=0.001"
FILES: dict[str, str | bytes] = {
    "deep.json": "[" * 100_000,
    "bytes.csv": bytes(range(256)) * 40,
    "nameless.csv": "target,draft,latency\nT,d,1\nT,d,2\n",
    "one.csv": "alpha,cost_ratio\n0.8,0.05\n",
    "none.csv": "alpha,decay\n0.8,1\n0.7,1\n",
    "wide.csv": "alpha,cost_ratio\n0.8,0.05\n1.2,0.05\n",
    "no_k.csv": "target,draft,speedup\nbig,small,1.5\nbig,small,1.7\n",
    "trace.jsonl": '{"prompt_tokens": 10, "accept_len_eagle": [2, 2, 2, 2]}\n' * 2,
    "empty.json": "{}",
    "brace.json": "{",
    "speedless.csv": "target,draft\na,2\n",
}
# Costs of a simulation, each in a file.
COSTS: list[tuple[Any, str]] = [
    ([1], 'expected an object with "law" and its parameters'),
    ({"cost_ratio": 0.1}, 'expected an object with "law" and its parameters'),
    ({"law": "cheap"}, "law must be one of affine, "),
    ({"law": ["affine"]}, "law must be one of affine, "),
    ({"law": "affine"}, "law affine needs cost_ratio"),
    ({"law": "affine", "cost": 1}, "law affine takes cost_ratio, "),
    ({"law": "affine", "cost_ratio": -0.1}, "cost_ratio must be in"),
    ({"law": "affine", "cost_ratio": "x"}, "cost_ratio must be a number"),
    ({"law": "affine", "cost_ratio": 0.1, "unit": "ms"}, 'unit must be "s" or "step"'),
    ({"law": "parallel-draft", "target": 1, "draft": 2}, "cannot be made of"),
    ({"law": "sequential-draft", "target": {"law": "line"}, "draft": {}},
     "target: law must be one of linear, "),
]  # fmt: skip
FILES |= {f"law{i}.json": json.dumps(law) for i, (law, _) in enumerate(COSTS)}
# By verb: the arguments and what the line holds.
BAD: dict[str, dict[str, str]] = {
    "predict": {
        "--alpha 1.2 --cost-ratio 0.1": "alpha must be in [0, 1], got 1.2",
        "--alpha nan --cost-ratio 0.1": "alpha must be in [0, 1], got nan",
        "--alpha 0.5 --cost-ratio -0.1": "--cost-ratio must be in [0, inf), got -0.1",
        "--alpha x --cost-ratio 0.1": "x",
        "--bogus": "--bogus",
        "--alpha 0.5 --cost-ratio 0.1 --gamma-max 0": "an integer in [1, 10000], got 0",
        "--alpha 0.8 --cost-ratio 0.1 --gamma-max 1000000000": "[1, 10000], got 10000000",
        "--alpha 0.8 --cost-ratio 0.1 --seed -1": "--seed must be an integer in [0, inf)",
        "--alpha 0.8 --cost-ratio 0.1 --batch 0": "--batch must be in [1, inf), got 0",
        "--alpha 0.8 --cost-ratio 0.1 --batch nan": "--batch must be in [1, inf)",
        "--alpha 0.8 --cost-ratio 0.1 --context -1": "--context must be in [0, inf)",
        "--alpha 0.8 --cost-ratio 0.1 --level nan": "--level must be in (0, 1), got nan",
        "--alpha 0.5": "missing target and draft and device",
        "--alpha 0.5 --cost-ratio 0.1 --target T": "target must be a name",
        "--target no/such --device H100":
            "target must be a name of the table, a config.json or a folder with one (--online",
        "--sweep paper_bloom_grid --alpha 0.5": "--alpha cannot be given",
        "--sweep paper_bloom_grid --device H100": "--device cannot be given",
        "--sweep paper_bloom_grid --target GPT-9": "BLOOM-7.1B",
        "--sweep paper_bloom_grid --draft BLOOM-1B": "BLOOM-1.1B",
        "--sweep paper_bloom_grid --gamma-max 1000000": "--gamma-max must be an integer",
        "--sweep absent.csv": "absent.csv",
        "--sweep nameless.csv": "nameless.csv, line 1, column gamma: is missing",
        f"{PAIR} --costs deep.json": "deep",
        "--alpha 0.8 --costs bytes.csv": "bytes.csv, line 2: must be UTF-8 text",
        "--target Llama-3.1-8 --device H100 --task chat": "nearest: Llama-3.1-8B",
        f"{PAIR} --device H1000": "device must be a name of the table",
        PAIR: "missing device",
        f"{PAIR} --device V100 --dtype fp8": "V100",
        f"{PAIR} --device A100 --dtype fp8": "multiplied in 16 bits, are int8",
        f"{NAMES} --task cooking": "task must name one of",
        f"{NAMES} --dtype fp99": "fp99",
        f"{NAMES} --alpha-tokens 10": "--alpha-tokens goes with a number",
        f"{NAMES} --alpha 0.5 --alpha-tokens -1": "--alpha-tokens must be in (0, inf)",
        f"{NAMES} --alpha 1.5 --alpha-tokens 9": "alpha must be in [0, 1]",
        f"{NAMES} --alpha 0.5 --acceptance x": "both state acceptance",
        f"{NAMES} --decay 0.9": "decay goes with a number",
        f"{NAMES} --level 1": "level must be in (0, 1), got 1",
        f"{NAMES} --acceptance absent.log": "absent.log",
        f"{NAMES} --costs absent.json": "absent.json",
        f"{NAMES} --stack abacus": "stack",
        "--alpha 0.8 --cost-ratio 0.05 --html page.txt":
            "--html must end in .html or .htm, got 'page.txt'",
        "--alpha 0.8 --cost-ratio 0.05 --html absent/page.html":
            "--html must be in a folder that is there",
        "--alpha 0.8 --cost-ratio 0.05 --html folder.html": "--html must be a file, got the folder",
    },
    "rank": {
        "--target Qwen3-32B --draft Qwen3-0.6B --device H100 --seed -1": "--seed",
        f"{QWEN} --draft ,": "drafts must name one draft or more",
        f"{QWEN} --draft Qwen2.5-0.6B": "nearest: Qwen2.5-0.5B",
        f"{QWEN} {LADDER} --batch 1,x": "--batch must be numbers with commas",
        f"{QWEN} {LADDER} --batch 0": "batch must be in [1, inf), got 0",
        f"{QWEN} {LADDER} --gamma-max 0": "--gamma-max must be an integer in [1, 256]",
        f"{QWEN} {LADDER} --level 2": "level must be in (0, 1), got 2",
    },
    "scale": {
        f"{QWEN} --sizes 2": "sizes must be in [3, 60], got 2",
        f"{QWEN} --sizes 3 --figure x.doc": "--figure must end in",
    },
    "crossover": {f"{QWEN} --draft Qwen2.5-7B --batch-max 1": "--batch-max must be"},
    "measure": {
        "http://127.0.0.1:1 --batch 1,x --out x.json":
            "--batch must be whole numbers and ranges like 1-9,12, got '1,x'",
    },
    "explain": {
        f"{MEASURED} --gamma 1000000000 --alpha 0.5": "--gamma must be an integer in [1, 256]",
        "--baseline-tokens-per-s 1e308 --speculative-tokens-per-s 1e-308 --gamma 3 --alpha 0.5":
            "must be in [1e-6, 1e9]",
    },
    "schedule": {
        "--alpha 0.8 --costs deep.json": "nested too deeply",
        "--alpha 0.8 --costs bytes.csv": "bytes.csv, line 2: must be UTF-8 text",
        "--alpha 0.8 --cost-ratio 0.1 --seed -1": "--seed",
        "--target Llama-3.1-8B": "missing draft and device",
        f"{PAIR} --device T4": "does NOT fit",
        "--task chat --alpha 0.5": "missing target and draft and device",
    },
    "hook": {
        **dict.fromkeys(("vllm", "sglang", "''", "transformer"), "engine must be transformers"),
        "": "ENGINE",
    },
    "validate": {
        "--rows absent.csv": "cannot be read",
        "--rows speedless.csv": "column speedup: is missing",
        "--rows one.csv": "column target: is missing",
    },
    "paper": {
        "--out deep.json": "--out must be a folder",
        "--out deep.json/inside": "--out must be a folder",
    },
    "figures": {"--out out --seed -1": "--seed", "--out deep.json": "out must be a folder"},
    "explore": {
        "--posterior one.csv": "a posterior must have 2 draws or more, got 1",
        "--posterior none.csv": "got no cost ratio",
        "--posterior wide.csv": "alpha must be in [0, 1]",
        "--sweep no_k.csv": "no_k.csv",
        "--out page.txt": "--out must end in .html",
        "--out no/page.html": "--out must be in a folder",
        "--alpha 0.8 --posterior one.csv": "no acceptance, costs or pair with it",
    },
    "calibrate show": {
        "empty.json": "is not a record",
        "family.json --limits": "--limits needs a record of costs",
    },
    "simulate": {
        "--gamma 5 --cost-ratio 0.1": "to predict acceptance needs target, draft",
        "--alpha 0.8 --law depth:alpha=0.8 --gamma 5 --cost-ratio 0.1": "--alpha and --law",
        "--alpha 0.8 --cost-ratio 0.1": "give one of gamma and policy, got none",
        "--alpha 0.8 --gamma 5": "to predict costs needs target, draft, device",
        "--alpha 0.8 --gamma 5 --costs deep.json": "nested too deeply",
        "--alpha 1.5 --gamma 5 --cost-ratio 0.1": "alpha must be in [0, 1], got 1.5",
        "--alpha nan --gamma 5 --cost-ratio 0.1": "alpha must be in [0, 1], got nan",
        "--alpha 0.8 --gamma -1 --cost-ratio 0.1": "gamma must be an integer in [0, ",
        "--alpha 0.8 --gamma 1000000000 --cost-ratio 0.1": "gamma must be an integer",
        "--alpha 0.8 --gamma 5 --cost-ratio -1": "--cost-ratio must be in",
        f"{SIMULATED} --seed -1": "seed must be an integer in [0, inf), got -1",
        f"{SIMULATED} --tokens 0": "tokens must be an integer in [1, 1e+07], got 0",
        f"{SIMULATED} --batch 0": "batch must be an integer in [1, 1e+06], got 0",
        f"{SIMULATED} --rounds 5": "rounds must be an integer in [64, 1e+12], got 5",
        f"{SIMULATED} --rounds 1000000000000000": "rounds",
        f"{SIMULATED} --tokens 1000 --requests 5000000": "requests times tokens",
        f"{SIMULATED} --drafter eagle": "drafter names a column of a trace",
        f"{SIMULATED} --arrival-rate 5": "--arrival-rate is per second",
        f"{SIMULATED} --tokens 9 --requests 3 --batch 2": "needs two batches or more: 3 requests",
        "--law deep:alpha=0.8 --gamma 5 --cost-ratio 0.1": "law must be one of beta-req",
        "--law depth --gamma 5 --cost-ratio 0.1": "acceptance law: law depth needs alpha",
        "--law depth:alpha=0.8,rate=1 --gamma 5 --cost-ratio 0.1": "takes alpha, decay, got 'ra",
        "--law depth:alpha=high --gamma 5 --cost-ratio 0.1": "law: alpha must be a number",
        "--law depth:alpha --gamma 5 --cost-ratio 0.1": "expected name:parameter=value,...",
        "--alpha 0.8 --policy lucky --cost-ratio 0.1": "policy must be one of constant, ",
        "--alpha 0.8 --policy bandit:size=3 --cost-ratio 0.1": "width, got",
        "--alpha 0.8 --policy best --tokens 9 --cost-ratio 0.1": "no tokens, no load",
        "--alpha 0.8 --policy controller:gamma_max=0 --cost-ratio 0.1": "gamma",
        "--alpha 0.8 --policy constant --cost-ratio 0.1": "policy constant needs gamma",
        "--alpha 0.8 --policy oracle:top=3 --cost-ratio 0.1": "got 'top'",
        "--alpha 0.8 --policy batch-table:a=3 --cost-ratio 0.1": "takes batch=gamma pairs",
        "--trace trace.jsonl --policy survival-threshold:threshold=0.5 --cost-ratio 0.1":
            "needs confidences, the trace has none: give beside accept_len_<drafter> a list conf",
        "--alpha 0.8 --policy confidence-threshold:threshold=1.5 --cost-ratio 0.1":
            "threshold must be in [0, 1], got 1.5",
        "--law gated:gate_pass=0.7,passed_alpha=0.8 --policy confidence-threshold:threshold=0.4 "
        "--cost-ratio 0.1": "confidences can be drawn where each token has its own acceptance",
        "--law markov:accept_after_accept=0.9,accept_after_reject=0.5 --cost-ratio 0.1 "
        "--policy confidence-threshold:threshold=0.4": "rounds of this law depend on gamma",
        "--law markov:accept_after_accept=0.9,accept_after_reject=0.5 --policy oracle "
        "--cost-ratio 0.1": "rounds of this law depend on gamma",
        "--gamma 3 --alpha 0.8 --costs none.json": "none.json",
        "--gamma 3 --trace none.json --cost-ratio 0.1": "none.json",
        "--trace bytes.csv --gamma 5 --cost-ratio 0.1": "must be UTF-8 text",
        **{f"--trace trace.jsonl --gamma 3 --cost-ratio 0.1 {more}": "a trace has its own requests"
           for more in ("--tokens 5", "--requests 5", "--arrival-rate 5")},
        "--alpha 0.8 --gamma 3 --costs brace.json": "not JSON",
        **{f"--alpha 0.8 --gamma 3 --costs law{i}.json": said for i, (_, said) in enumerate(COSTS)},
        f"{SIMULATED} --resume points.jsonl": "belong to a grid",
        f'{SIMULATED} --grid "alpha=0.6,0.7"': "the grid and an argument both give acceptance",
        '--cost-ratio 0.1 --grid "alpha=x gamma=1"': "values of alpha must be numbers, got 'x'",
        '--cost-ratio 0.1 --grid "colour=1"': "NAME one of acceptance",
        '--cost-ratio 0.1 --grid " "': "got nothing",
        f"{GRID} --backend cloud": "backend must be one of",
        '--cost-ratio 0.1 --backend sequential --grid "alpha=1.5 gamma=1"': "got 1.5",
        f"--rule bloc {RULE}": "--rule must be one of token, block, recursive",
        f"--rule block {RULE} --width 2": "--width goes with rules of several drafts, got 2",
        f"{RULE} --width 2": "--width goes with a rule of verification, got 2 without one",
        f"--rule naive {RULE} --width 90": "its tree of depth 3 of at most 20000 nodes, got 90",
        f"--rule token {RULE} --vocabulary 1": "--vocabulary must be an integer in [2, 100000]",
        f"--rule token {RULE} --tokens 5": "endless requests, one gamma: tokens cannot be given",
        "--rule token --alpha 1 --gamma 2 --cost-ratio 0": "must be in (0, 1) with a rule, got 1",
        "--replay target_fixed=1 --gamma 3":
            "--trace must be a published trace of rounds for a replay, got none",
        "--trace x --replay target_fixed=1 --gamma 3": "--replay needs target_token, target_kv",
        f"--trace x --replay {TIMES} --gamma 3 --alpha 0.5": "acceptance cannot be given with it",
        f"--trace x --replay {TIMES} --policy best": "takes a gamma or the policy oracle",
        f"{RULE} --match 0.5": "--match goes with a replay, got 0.5 without one",
        f"--crossing {RULE}": "a rate is per second: give costs in seconds",
        f"--crossing {RULE} --grid gamma=1,2": "no grid with it",
        f"--crossing {RULE} --rule token": "no rule with it",
    },
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "folder.html").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(f"{verb} {a}", said) for verb, rows in BAD.items() for a, said in rows.items()],
)
def test_bad_input_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: str, said: str
) -> None:
    status, out, err = call(capsys, *shlex.split(arguments))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert {p.name for p in folder.iterdir()} == {*FILES, "folder.html"}
    assert (folder / "deep.json").read_text() == FILES["deep.json"]
