"""Is our speculative decoder as fast as the passes that it makes, and as transformers' own?

    python benchmarks/decoder_ratios.py --target family/target-8m --draft family/draft-430k

Two ratios for every number of draft tokens, each from runs that take turns (A B A B ...), as mean
and standard error over the repeats:

passes     time of the rounds over the sum of their passes, draws and rules, each kind run by itself
           in a row, as often and at the same lengths as the rounds ran it; inside: the share of the
           time that the rounds themselves spend in passes, draws and rules
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
from howspec.calibrate.measure.decoder import Generation, decode_plain, decode_speculative
from howspec.calibrate.measure.inputs import built_in_texts, encode_prompts, load_ladder
from howspec.calibrate.measure.rejection import draw, token_law, verify
from howspec.calibrate.measure.runner import Runner

Clock = Callable[[], float]


class Alone:
    """The passes of a generation run again, each kind by itself."""

    def __init__(self, target: Runner, draft: Runner, prompt: Sequence[int], clock: Clock) -> None:
        self.target, self.draft, self.prompt, self.clock = target, draft, prompt, clock
        self.device = target.device

    def _timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds that the work took, to its end on the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        began = self.clock()
        result = work()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock() - began, result

    @torch.inference_mode()
    def seconds(self, got: Generation, temperature: float) -> float:
        """Sum of the passes, draws and rules of the rounds of one request."""
        lengths = len(self.prompt) + np.cumsum([0, *(a + 1 for a in got.accepted[0][:-1])])
        behind = [1, *(2 if a == got.gamma else 1 for a in got.accepted[0][:-1])]
        text = [*self.prompt, *got.tokens[0], *[0] * (got.gamma + 2)]
        for runner in (self.target, self.draft):
            runner.reset()
            runner.prefill([text[: int(lengths[-1]) + 1]])
        rounds = list(zip(lengths.tolist(), behind, strict=True))[::-1]
        drafting, law = self._timed(lambda: self._draft(rounds, text, got.gamma, temperature))
        verifying, logits = self._timed(lambda: self._target(rounds, text, got.gamma))
        rule, _ = self._timed(lambda: self._rule(law, logits, len(rounds), temperature))
        return drafting + verifying + rule

    def _draft(
        self, rounds: list[tuple[int, int]], text: list[int], gamma: int, temperature: float
    ) -> Any:
        """From the last round to the first, so that every length is a rollback."""
        u = torch.rand(1, gamma, dtype=torch.float64, device=self.device)
        first = {n: torch.tensor([text[:n]], device=self.device) for n in (1, 2)}
        law: Any = None
        for length, behind in rounds:
            start = length + 1 - behind
            self.draft.rollback(self._at(start), most=start)
            feed = first[behind]
            for k in range(gamma):
                logits = self.draft.extend(feed, clone=False)[:, -1]
                if temperature == 0.0:
                    token = logits.max(-1)[1]
                else:
                    law = token_law(logits, temperature)
                    token, _ = draw(law, u[:, k])
                feed = token[:, None]
        return law

    def _target(self, rounds: list[tuple[int, int]], text: list[int], gamma: int) -> Any:
        feed = torch.tensor([text[: gamma + 1]], device=self.device)
        logits: Any = None
        for length, _ in rounds:
            self.target.rollback(self._at(length), most=length)
            logits = self.target.extend(feed, clone=False)
        return logits

    def _rule(self, law: Any, logits: Any, rounds: int, temperature: float) -> None:
        gamma = logits.shape[1] - 1
        laws = law[:, None].expand(1, gamma, -1) if law is not None else None
        tokens = torch.zeros(1, gamma, dtype=torch.long, device=self.device)
        for _ in range(rounds):
            u = torch.rand(1, gamma + 1, dtype=torch.float64, device=self.device)
            verify(
                laws, logits, draft_tokens=tokens, uniforms=u, temperature=temperature
            ).accepted.tolist()

    def _at(self, length: int) -> torch.Tensor:
        return torch.tensor([length], device=self.device)


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
    print(
        f"{'T':>4} {'K':>2} {'passes':>16} {'inside':>16} {'assisted':>16} {'per round':>16} "
        f"{'speed-up':>16}"
    )
    for temperature in given.temperatures:
        for gamma in given.gammas:
            rows: dict[str, list[float]] = {
                n: [] for n in ("passes", "inside", "assisted", "round", "speedup")
            }
            for repeat in range(-1, given.repeats):
                prompt = prompts[repeat % len(prompts)]
                common: dict[str, Any] = {
                    "new_tokens": given.new_tokens, "temperature": temperature, "seed": repeat + 9,
                    "clock": clock,
                }  # fmt: skip
                own = decode_speculative(target, draft, [prompt], gamma=gamma, **common)
                parts = Alone(target, draft, prompt, clock).seconds(own, temperature)
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
                rows["passes"].append(own.decode_s / parts)
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
