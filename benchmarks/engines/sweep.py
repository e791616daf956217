"""A real server swept over drafts and numbers of draft tokens: `howspec measure` by itself.

    python sweep.py OUT --draft small=S.gguf --draft large=L.gguf --ngram --gammas 1,2,3,5,8 \\
        --launch 'llama-server -m T.gguf --port 8099 --metrics --slots -np 4 {flags}'
    python sweep.py OUT --engine vllm --draft small=FOLDER \\
        --launch 'vllm serve TARGET --port 8099 --max-num-seqs 4 {flags}'

The server is started for each configuration, in an order that a seed shuffles. Plain decoding comes
first, last, and --starts times in all, each time into a record of its own, so that what a new start
changes can be seen. What was measured is kept: the same command goes on. Each draft has a folder
with plain decoding in it, which `howspec predict --acceptance FOLDER --costs FOLDER` takes;
judge.py holds predictions against it. In counted/ lie records with the server's own counters of
exactly their requests, for `howspec import`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
import urllib.request
from pathlib import Path

import howspec
import numpy as np
from howspec.calibrate.serving.launch import launched

LOOKUP = "ngram-simple --spec-ngram-simple-size-m {k} --spec-ngram-simple-size-n 4"
Configuration = tuple[str, int, str]  # folder, gamma, options of the command


def options(engine: str, model: str, gamma: int) -> str:
    """What starts a draft: model is its file, "" for look-up in the text."""
    if engine == "vllm":
        words = {"method": "draft_model", "model": model} if model else {"method": "ngram"}
        words |= {} if model else {"prompt_lookup_max": 4}
        config = json.dumps(words | {"num_speculative_tokens": gamma})
        return f"--speculative-config {shlex.quote(config)}"
    if model:
        return (
            f"--spec-type draft-simple --model-draft {shlex.quote(model)} "
            f"--spec-draft-n-max {gamma} --spec-draft-n-min 0 --spec-draft-p-min 0.0"
        )
    return "--spec-type " + LOOKUP.format(k=gamma)


def plan(
    engine: str, drafts: dict[str, str], gammas: list[int], *, starts: int, seed: int
) -> list[Configuration]:
    """Every configuration in its order."""
    own = [(n, g, options(engine, m, g)) for n, m in drafts.items() for g in gammas]
    order: list[Configuration] = [own[i] for i in np.random.default_rng(seed).permutation(len(own))]
    every = max(1, len(order) // max(starts - 1, 1))
    for number in range(starts):
        order.insert(min(number * (every + 1), len(order)), ("plain", number, ""))
    return order


def measured(given: argparse.Namespace, one: Configuration, place: Path, *, warmup: int) -> None:
    """Start the server, measure it, stop it."""
    folder, gamma, words = one
    command = shlex.split(given.launch.replace("{flags}", words))
    with launched(command, given.url, place.parent / "server.log", patience_s=given.patience_s):
        howspec.measure(
            given.url, out=place, batch=given.batches, requests=given.requests,
            new_tokens=given.new_tokens, warmup=warmup, gamma=0 if folder == "plain" else gamma,
            draft=None if folder in ("plain", "ngram") else folder, seed=0, prompts=given.prompts,
            method="ngram" if folder == "ngram" else None, command=shlex.join(command),
        )  # fmt: skip
        if not warmup:
            with urllib.request.urlopen(f"{given.url}/metrics", timeout=10) as answer:
                place.with_suffix(".metrics").write_bytes(answer.read())


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--launch", required=True, help="command with {flags}")
    parser.add_argument("--engine", choices=("vllm", "llama.cpp"), default="llama.cpp")
    parser.add_argument("--url", default="http://127.0.0.1:8099")
    parser.add_argument("--draft", action="append", default=[], help="NAME=FILE")
    parser.add_argument("--ngram", action="store_true", help="look-up in the text as well")
    parser.add_argument("--gammas", default="1,2,3,5,8")
    parser.add_argument("--batches", default="1,4")
    parser.add_argument("--starts", type=int, default=5, help="of plain decoding")
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--prompts")
    parser.add_argument("--patience-s", type=float, default=300.0)
    parser.add_argument("--seconds", type=float, default=460.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.batches = tuple(map(int, given.batches.split(",")))
    drafts = dict(d.split("=", 1) for d in given.draft) | ({"ngram": ""} if given.ngram else {})
    order = plan(given.engine, drafts, list(map(int, given.gammas.split(","))),
                 starts=given.starts, seed=given.seed)  # fmt: skip
    # Counters of exactly the requests of a record, where the first of them is not warmed up.
    counted = [(n, 3, options(given.engine, m, 3)) for n, m in drafts.items()]
    begun, left = time.monotonic(), 0
    for number, (one, warmup) in enumerate([*((c, 1) for c in order), *((c, 0) for c in counted)]):
        name = f"{'start' if one[0] == 'plain' else 'k'}{one[1]}.json"
        place = given.out / ("counted" if not warmup else "") / one[0] / name
        if place.exists():
            continue
        if time.monotonic() - begun > given.seconds:
            left += 1
            continue
        at = time.monotonic()
        try:
            measured(given, one, place, warmup=warmup)
        except ValueError as error:
            print(f"{one[0]} {one[1]}: {error}", flush=True)
            left += 1
            continue
        print(f"{number + 1}: {one[0]} {one[1]}: {time.monotonic() - at:.0f} s", flush=True)
    for name in drafts:
        for start in sorted((given.out / "plain").glob("start*.json")):
            link = given.out / name / f"plain-{start.name}"
            if not link.exists() and link.parent.exists():
                os.link(start, link)
    print(f"{left} to go" if left else "complete")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
