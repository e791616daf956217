"""Does our speculative decoder spend its time in passes, and is it as fast as transformers' own?

    python benchmarks/decoder_ratios.py --target family/target-8m --draft family/draft-430k

Ratios for every number of draft tokens, each from runs that take turns (A B A B ...), as mean and
standard error over the repeats:

inside     the share of the time that rounds spend in passes, draws and rules; beside what passes
           take by themselves every record of `howspec calibrate costs --gamma` puts its rounds
assisted   time of transformers' assisted generation over ours, for a request with the same prompt,
           number of draft tokens and temperature; and the same for a round, prefill and all

Small models on a shared machine vary by 10 % from minute to minute: read the errors, or measure
processor time of one thread with --cpu-time.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from howspec.calibrate.measure.assisted_counts import generate_assisted
from howspec.calibrate.measure.decoder import decode_plain, decode_speculative
from howspec.calibrate.measure.inputs import built_in_texts, encode_prompts, load_ladder
from howspec.calibrate.measure.runner import Runner

Clock = Callable[[], float]


def summary(values: Sequence[float]) -> str:
    x = np.asarray(values)
    return f"{x.mean():.3f} +- {x.std(ddof=1) / np.sqrt(x.size):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True)
    parser.add_argument("--draft", required=True)
    parser.add_argument("--gammas", type=int, nargs="+", default=[1, 2, 4, 7])
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--graphs", action="store_true")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="time of the processor, for a busy machine; 1 thread",
    )
    given = parser.parse_args()
    torch.set_num_threads(1 if given.cpu_time else given.threads)
    clock: Clock = time.process_time if given.cpu_time else time.perf_counter
    ladder = load_ladder(given.target, [given.draft], device=given.device, dtype=given.dtype)
    model, draft_model = ladder.target.model, next(iter(ladder.plain.values()))
    texts = encode_prompts(built_in_texts(), ladder.target.tokenizer, count=4, tokens=48)
    prompts = [row for rows in texts.values() for row in rows]
    room = max(map(len, prompts)) + given.new_tokens + max(given.gammas) + 2
    target = Runner(model, batch=1, capacity=room, graphs=given.graphs)
    draft = Runner(draft_model, batch=1, capacity=room, graphs=given.graphs)
    gc.disable()
    print(f"target {ladder.target.name}, draft {next(iter(ladder.drafts))}, {target.device.type}, ")
    print(f"threads {torch.get_num_threads()}, {given.new_tokens} tokens, repeats {given.repeats}")
    print(f"{'T':>4} {'K':>2} {'inside':>16} {'assisted':>16} {'per round':>16} {'speed-up':>16}")
    for temperature in given.temperatures:
        for gamma in given.gammas:
            rows: dict[str, list[float]] = {
                n: [] for n in ("inside", "assisted", "round", "speedup")
            }
            for repeat in range(-1, given.repeats):
                prompt = prompts[repeat % len(prompts)]
                common: dict[str, Any] = {
                    "new_tokens": given.new_tokens, "temperature": temperature, "seed": repeat + 9,
                    "clock": clock,
                }  # fmt: skip
                timed_run = decode_speculative(
                    target, draft, [prompt], gamma=gamma, timed=True, **common
                )
                theirs = generate_assisted(model, draft_model, prompt, gamma=gamma, **common)
                again = decode_speculative(target, draft, [prompt], gamma=gamma, **common)
                plain = decode_plain(target, [prompt], **common)
                gc.collect()
                if repeat < 0:
                    continue  # warm-up
                assert theirs.rounds is not None
                assert timed_run.parts_s is not None
                total = again.prefill_s + again.decode_s
                bookkeeping = timed_run.parts_s["other_s"]
                rows["inside"].append(1.0 - bookkeeping / timed_run.decode_s)
                rows["assisted"].append(theirs.total_s / total)
                per_round = theirs.total_s / len(theirs.rounds)
                rows["round"].append(per_round / (total / len(again.accepted[0])))
                rows["speedup"].append((plain.prefill_s + plain.decode_s) / total)
            cells = " ".join(f"{summary(v):>16}" for v in rows.values())
            print(f"{temperature:>4g} {gamma:>2} {cells}", flush=True)


if __name__ == "__main__":
    main()
