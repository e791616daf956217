"""The stage that asks whether it runs at all, on models of a few thousand parameters.

Of every architecture: do passes over rows of different lengths give the logits of one plain
forward, eagerly and through captured graphs? Of one pair in float32, where ties are rare: is what
is decoded, in rounds, token by token and by transformers, the same at temperature 0, and of the
target's law at 1?
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..family.record import read_json, write_json
from ..records import collect_provenance
from .estimate import CAPTURE, Estimate, architecture_config, write_config
from .presets import ARCHITECTURES, Campaign, one_of_each_family
from .stage import Stage, Work

SCHEMA, VERSION = "howspec-check", 1
TOKENS, NEW_TOKENS, GAMMA = 9, 24, 3
SAMPLES, BATCH = 1024, 128
GREEDY: dict[str, Any] = {"new_tokens": NEW_TOKENS, "temperature": 0.0, "seed": 0}
Check = dict[str, Any]


class CheckStage(Stage):
    """Small models through every kind of pass and of decoding once, and what came of it."""

    name = "check"
    what = "graphs against eager logits, our decoding against transformers', on tiny models"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        self.names = one_of_each_family(ARCHITECTURES)

    def state(self, work: Work) -> str:
        """Whether the checks were made, of this campaign; failed ones were made too."""
        path = work.records / f"{self.name}.json"
        if not path.exists():
            return "to do"
        held = read_json(path, "schema", "campaign", "checks")
        if (held["schema"], held["campaign"]) != (SCHEMA, self.campaign.name):
            raise ValueError(
                f"{path}: holds checks of {held['campaign']!r}, not of the campaign "
                f"{self.campaign.name}; choose another --out"
            )
        return "done"

    def remark(self, work: Work) -> str:
        """The checks that failed, in one line."""
        held = read_json(work.records / f"{self.name}.json", "checks")
        failed = [c["check"] for c in held["checks"] if not c["passed"]]
        return f"checks that failed: {', '.join(failed)}" if failed else ""

    def estimate(self) -> Estimate:
        machine = self.campaign.machine
        passes = 2 * SAMPLES // BATCH * 2 * (GAMMA + 2) + 8 * NEW_TOKENS * (GAMMA + 2)
        captures = (8 + GAMMA) * CAPTURE * len(self.names)
        time_s = (passes + captures) * 2 * machine.launch_s
        start_s = (len(self.names) + 2) * machine.start_s
        checks = 2 * len(self.names) + 4
        return Estimate(time_s + start_s, 1e9, checks, 200.0 * checks)

    def run(self, work: Work) -> None:
        found = []
        for number, check in enumerate(self._checks(work)):
            found.append(check)
            work.report(self.name, number + 1, 2 * len(self.names) + 4)
        campaign = self.campaign
        origin = collect_provenance(campaign.device, campaign.dtype, models={}, seed=campaign.seed)
        write_json(
            work.records / f"{self.name}.json",
            {
                "schema": SCHEMA,
                "version": VERSION,
                "campaign": campaign.name,
                "provenance": json.loads(json.dumps(origin)),
                "checks": found,
            },
        )
        if line := self.remark(work):
            work.say(line)

    def _checks(self, work: Work) -> Iterator[Check]:
        """What was found, allowed, and whether it passed."""
        from ..measure.pairs import load_model

        campaign, folder = self.campaign, work.out / "configurations"
        how: dict[str, Any] = {"device": campaign.device, "random_weights": True}
        paths = {
            name: write_config(folder, f"check-{name}", architecture_config(name, scaled=True))
            for name in self.names
        }
        for name, path in paths.items():
            model = load_model(path, dtype=campaign.dtype, **how).model
            for mode in ("eager", "graph") if campaign.graphs else ("eager",):
                yield _passed(f"logits {name} {mode}", partial(_logits, model, mode))
        pair = [paths[name] for name in self.names[:2]]
        target, draft = (load_model(path, dtype="float32", **how).model for path in pair)
        yield _passed("tokens in rounds", partial(_tokens, target, draft, campaign.graphs))
        yield _passed("tokens of transformers", partial(_same_as_generate, target, campaign.graphs))
        yield _passed("tokens of assisted generation", partial(_assisted, target, draft))
        yield _passed("law of a round", partial(_law, target, draft, campaign.graphs))


def _passed(name: str, check: Callable[[], tuple[float, float]]) -> Check:
    """One check; what it raises is what it found."""
    try:
        found, allowed = check()
    except Exception as error:  # a new machine may fail in any way, and says so here
        return {"check": name, "passed": False, "error": f"{type(error).__name__}: {error}"}
    if not math.isfinite(found):
        return {"check": name, "passed": False, "error": f"found {found}"}
    return {"check": name, "passed": found <= allowed, "found": found, "allowed": allowed}


def _logits(model: Any, mode: str) -> tuple[float, float]:
    """Largest difference of passes over rows at different lengths from one plain forward."""
    import torch

    from ..measure.limits import probe
    from ..measure.runner import Runner

    with torch.inference_mode():
        return probe(model, lambda m, **room: Runner(m, graphs=mode == "graph", **room))


def _prompts(model: Any, rows: int) -> list[list[int]]:
    words = model.config.get_text_config().vocab_size
    return [[(7919 * (i + 1) * (row + 1)) % words for i in range(TOKENS)] for row in range(rows)]


def _decoded(target: Any, draft: Any, *, graphs: bool, rows: int, **more: Any) -> list[list[int]]:
    """Tokens in rounds, or token by token where there is no draft."""
    from ..measure.decoder import decode_plain, decode_speculative
    from ..measure.runner import Runner

    prompts, room = more.pop("prompts", None) or _prompts(target, rows), TOKENS + NEW_TOKENS + GAMMA
    first = Runner(target, batch=rows, capacity=room, graphs=graphs)
    if draft is None:
        return decode_plain(first, prompts, **more).tokens
    second = Runner(draft, batch=rows, capacity=room, graphs=graphs)
    return decode_speculative(first, second, prompts, gamma=GAMMA, **more).tokens


def _different(ours: list[list[int]], theirs: list[list[int]]) -> tuple[float, float]:
    """The share of requests that differ; rounding may settle one tie in ten requests."""
    return sum(a != b for a, b in zip(ours, theirs, strict=True)) / len(ours), 0.1


def _tokens(target: Any, draft: Any, graphs: bool) -> tuple[float, float]:
    plain, ours = (
        _decoded(target, other, graphs=graphs, rows=10, **GREEDY) for other in (None, draft)
    )
    return _different(ours, plain)


def _same_as_generate(target: Any, graphs: bool) -> tuple[float, float]:
    from ..measure.assisted_counts import generate_plain

    theirs = [generate_plain(target, p, **GREEDY).tokens for p in _prompts(target, 10)]
    return _different(_decoded(target, None, graphs=graphs, rows=10, **GREEDY), theirs)


def _assisted(target: Any, draft: Any) -> tuple[float, float]:
    from ..measure.assisted_counts import generate_assisted, generate_plain

    prompts = _prompts(target, 10)
    plain = [generate_plain(target, p, **GREEDY).tokens for p in prompts]
    ours = [generate_assisted(target, draft, p, gamma=GAMMA, **GREEDY).tokens for p in prompts]
    return _different(ours, plain)


def _law(target: Any, draft: Any, graphs: bool) -> tuple[float, float]:
    """Chi-square of the second token, which the rule of a round decides, in standard deviations."""
    import torch

    (prompt,) = _prompts(target, 1)
    device = next(target.parameters()).device
    words = target.config.get_text_config().vocab_size
    given = torch.tensor(prompt, device=device).repeat(words, 1)
    both = torch.cat([given, torch.arange(words, device=device)[:, None]], 1)
    with torch.inference_mode():
        laws = target(input_ids=both, use_cache=False).logits[:, -2:].double().softmax(-1)
    expected = (laws[0, 0] @ laws[:, 1]).cpu() * SAMPLES
    seen = torch.zeros(words, dtype=torch.float64)
    for seed in range(SAMPLES // BATCH):
        tokens = _decoded(
            target, draft, graphs=graphs, rows=BATCH, prompts=[prompt] * BATCH,
            new_tokens=2, temperature=1.0, seed=seed,
        )  # fmt: skip
        seen += torch.bincount(torch.tensor([t[1] for t in tokens]), minlength=words)
    # Words that are hardly expected count together.
    rare = expected < 5.0
    counts = [(seen[~rare], expected[~rare]), (seen[rare].sum()[None], expected[rare].sum()[None])]
    square = sum(float(((s - e) ** 2 / e)[e > 0].sum()) for s, e in counts)
    freedom = max(int((~rare).sum()) + int(rare.any()) - 1, 1)
    return (square - freedom) / math.sqrt(2.0 * freedom), 5.0
