r"""Prometheus text of every engine that has one: counters and gauges with labels.

    name{label="value",...} number [timestamp]

Counters run since the start of the server; two scrapes give the interval between them. A counter
that falls was started again, and counts from zero. Series are added over engines, ranks and models;
names that end in _created are times and are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .counts import EngineCounts, Group, engine_counts
from .lines import Damage
from .printed import printed
from .sglang_log import DEFINITION as SGLANG_DEFINITION

_SAMPLE = re.compile(
    r"^\s*([A-Za-z_][\w:]*)\s*(\{(?:[^\"}]|\"(?:\\.|[^\"\\])*\")*\})?\s+(\S+)(?:\s+\S+)?(?:\s+#.*)?\s*$"
)
_LABEL = re.compile(r"([A-Za-z_]\w*)\s*=\s*\"((?:\\.|[^\"\\])*)\"")
_PREFIX = re.compile(r"^(?:ray_)?(vllm|llamacpp|trtllm|sglang)[:_](.+?)(_total)?$")
_ENGINES = {
    "vllm": "vllm",
    "llamacpp": "llama.cpp",
    "trtllm": "tensorrt-llm",
    "sglang": "sglang",
}
_COUNTERS = {
    "spec_decode_num_drafts": "rounds",
    "spec_decode_num_draft_tokens": "drafted",
    "spec_decode_num_accepted_tokens": "accepted",
    "spec_decode_num_accepted_tokens_per_pos": "position",
    "spec_decode_num_emitted_tokens": "emitted",
    "spec_verify_calls": "rounds",
    "spec_num_proposed_drafts": "drafted",
    "spec_num_correct_drafts": "accepted",
}
_GAUGES = {
    "spec_accept_length": "length",
    "spec_accept_rate": "rate",
    "spec_decode_acceptance_length": "length",
    "spec_decode_draft_acceptance_rate": "rate",
    "spec_decode_efficiency": "efficiency",
    "spec_decode_draft_overhead": "draft_overhead",
}
_CONFIG = "speculative_config_info"
DEFINITIONS = {
    "vllm": (
        "vLLM counters: drafts, drafted and accepted leading tokens, accepted by position; "
        "acceptance length = 1 + accepted / drafts (bonus counted)"
    ),
    "llama.cpp": (
        "llama.cpp counters (names of vLLM): drafts, drafted and accepted tokens, accepted by "
        "position; acceptance length = 1 + accepted / drafts (bonus counted)"
    ),
    "tensorrt-llm": (
        "TensorRT-LLM counters: drafted and accepted tokens; acceptance length = (accepted + "
        "requests with drafts) / requests with drafts, a gauge of the last iteration"
    ),
    "sglang": SGLANG_DEFINITION + "; gauges of the last interval",
}
Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, Labels]
_N = TypeVar("_N", int, float)


@dataclass
class Scrape:
    """Series of one engine in one scrape: counters and gauges by name and labels."""

    counters: dict[tuple[str, Labels], int] = field(default_factory=dict)
    gauges: dict[tuple[str, Labels], float] = field(default_factory=dict)
    gammas: set[int] = field(default_factory=set)
    repeated: int = 0

    def models(self) -> set[str]:
        """The models that the labels name."""
        found = set()
        for _, labels in (*self.counters, *self.gauges):
            found |= {v for k, v in labels if k in ("model_name", "model") and v}
        return found

    def of_model(self, model: str) -> Scrape:
        """Only the series of a model. Raises ValueError where it has none."""
        if model not in self.models():
            named = ", ".join(sorted(self.models())) or "none"
            raise ValueError(f"--model must be one of the labels ({named}), got {model!r}")

        def keep(key: tuple[str, Labels]) -> bool:
            return any(k in ("model_name", "model") and v == model for k, v in key[1])

        return Scrape(
            {k: v for k, v in self.counters.items() if keep(k)},
            {k: v for k, v in self.gauges.items() if keep(k)},
            self.gammas,
            self.repeated,
        )


class PrometheusText:
    """Collects the series of one engine from the lines of a scrape."""

    markers: tuple[bytes, ...] = (b"spec_", b"speculative_config_info")
    needed = markers

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.scrape = Scrape()
        self.damage = Damage("Prometheus")
        self.model: str | None = None
        self.before: Scrape | None = None

    def feed(self, line: str) -> None:
        """Take one line."""
        if line.lstrip().startswith("#"):
            return
        word = line.split("{")[0].split()
        named = _PREFIX.match(word[0]) if word else None
        if named is None or _ENGINES[named.group(1)] != self.engine:
            return
        found = _SAMPLE.match(line)
        if found is None:
            if "spec" in named.group(2):
                self.damage.add(f"must be name{{labels}} number, got {line.strip()[:120]!r}")
            return
        self._sample(named.group(2), found.group(2) or "", found.group(3))

    def _sample(self, name: str, labels: str, text: str) -> None:
        pairs = dict(_LABEL.findall(labels))
        if name.endswith(_CONFIG) and pairs.get("spec_num_tokens", "").isdigit():
            self.scrape.gammas.add(int(pairs["spec_num_tokens"]))
            return
        name = name.removesuffix("_total")
        kind, gauge = _COUNTERS.get(name), _GAUGES.get(name)
        if kind is None and gauge is None:
            return
        try:
            value = float(printed(text).value)
        except ValueError as error:
            self.damage.add(str(error))
            return
        if gauge is not None:
            self._keep(self.scrape.gauges, (gauge, tuple(sorted(pairs.items()))), value)
        elif math.isnan(value):
            self.damage.add(f"counter {name} is NaN")
        elif kind is not None:
            if not (0 <= value <= 2.0**63 and value == int(value)):
                raise ValueError(f"{name} must be a whole number in [0, 2^63], got {text}")
            self._keep(self.scrape.counters, (kind, tuple(sorted(pairs.items()))), int(value))

    def _keep(self, where: dict[_Key, _N], key: _Key, value: _N) -> None:
        self.scrape.repeated += key in where
        where[key] = value

    def result(self) -> EngineCounts | None:
        """The totals, less those of the scrape before."""
        scrape, before = self.scrape, self.before
        if not scrape.counters and not scrape.gauges:
            self.damage.refuse_if_alone(0)
            return None
        notes = self.damage.notes()
        if self.model is not None:
            scrape = scrape.of_model(self.model)
            before = None if before is None else before.of_model(self.model)
        elif len(scrape.models()) > 1:
            notes.append(
                f"series of several models are added up: {', '.join(sorted(scrape.models()))}; "
                f"--model takes one"
            )
        if scrape.repeated:
            notes.append(
                f"{scrape.repeated} series stand more than once: the last value is taken; an "
                f"earlier scrape belongs in --before"
            )
        counters = dict(scrape.counters)
        if before is not None:
            counters = _increase(scrape.counters, before.counters, notes)
        elif counters:
            notes.append("counters run since the start of the server; --before gives an interval")
        return _counts(self.engine, scrape, counters, notes)


def _increase(
    now: Mapping[tuple[str, Labels], int],
    before: Mapping[tuple[str, Labels], int],
    notes: list[str],
) -> dict[tuple[str, Labels], int]:
    """What was counted between two scrapes; a server that was started again counts from zero."""
    fallen = {key[1] for key, n in now.items() if n < before.get(key, 0)}
    stems = {tuple(p for p in labels if p[0] != "position") for labels in fallen}
    found = {}
    for key, n in now.items():
        restarted = tuple(p for p in key[1] if p[0] != "position") in stems
        found[key] = n if restarted else n - before.get(key, 0)
    if stems:
        notes.append(
            f"counters of {len(stems)} label sets fell since the scrape before: the server was "
            f"started again, and they count from zero"
        )
    gone = [key for key in before if key not in now]
    if gone:
        notes.append(f"{len(gone)} series of the scrape before are missing now")
    notes.append("counts are those between the two scrapes")
    return found


def _counts(
    engine: str,
    scrape: Scrape,
    counters: Mapping[tuple[str, Labels], int],
    notes: list[str],
) -> EngineCounts:
    totals: dict[str, int] = {}
    positions: dict[int, int] = {}
    for (kind, labels), n in counters.items():
        if kind == "position":
            place = dict(labels).get("position", "")
            if not place.isdigit() or int(place) > 4096:
                raise ValueError(f"position must be a whole number in [0, 4096], got {place!r}")
            positions[int(place)] = positions.get(int(place), 0) + n
        else:
            totals[kind] = totals.get(kind, 0) + n
    ladder = None
    if positions:
        ladder = [positions.get(k, 0) for k in range(max(positions) + 1)]
        if len(positions) != len(ladder):
            raise ValueError("positions must be without gaps from 0 on, as the engine writes them")
    rounds, drafted = totals.get("rounds"), totals.get("drafted")
    accepted, emitted = totals.get("accepted"), totals.get("emitted")
    gamma = _gamma(scrape, ladder, rounds, notes)
    if rounds is None and emitted is None and counters:
        notes.append("the counters do not hold the rounds: rounds and survival null")
    if ladder and accepted is not None and sum(ladder) != accepted:
        notes.append(
            f"accepted by position adds up to {sum(ladder)}, accepted is {accepted}: a restart, a "
            f"scrape in between, or series that are missing"
        )
    length, is_prefix = None, True
    if emitted is not None and rounds is None:
        is_prefix = False
        notes.append(
            "counters of the V0 engine: accepted counts tokens behind a rejected one too, and "
            "emitted / rounds needs gamma, which they do not hold"
        )
    if length is None and rounds is None:
        length = _gauge(scrape, "length", notes)
    return engine_counts(
        engine,
        f"{engine}-prometheus",
        definition=DEFINITIONS[engine],
        rounds=rounds,
        drafted=drafted,
        accepted=accepted,
        gamma=gamma,
        per_position_accepted=ladder,
        acceptance_length=length,
        accepted_is_prefix=is_prefix,
        groups=_groups(scrape, counters),
        notes=notes,
    )


def _gamma(
    scrape: Scrape, ladder: list[int] | None, rounds: int | None, notes: list[str]
) -> int | None:
    if len(scrape.gammas) == 1:
        gamma = next(iter(scrape.gammas))
        notes.append(f"gamma {gamma} is stated in the configuration series")
        return gamma or None
    if ladder:
        notes.append(f"gamma is the {len(ladder)} positions that have a counter")
        return len(ladder)
    pairs = []
    lengths = {k[1]: v for k, v in scrape.gauges.items() if k[0] == "length"}
    for (kind, labels), value in scrape.gauges.items():
        if kind == "rate" and labels in lengths and math.isfinite(value) and 0 < value <= 1:
            pairs.append((lengths[labels], value))
    if rounds is None and pairs and all(v > 1.0 for v, _ in pairs):
        new = {round((v - 1.0) / r) for v, r in pairs if abs((v - 1.0) / r % 1.0 - 0.0) < 1e-6}
        new |= {round((v - 1.0) / r) for v, r in pairs if (v - 1.0) / r % 1.0 > 1.0 - 1e-6}
        old = {round(v / r) - 1 for v, r in pairs if min(v / r % 1.0, 1.0 - v / r % 1.0) < 1e-6}
        if len(new) == 1 and not old:
            notes.append("gamma is (length - 1) / rate, a whole number (rate since PR #23530)")
            return new.pop()
        if len(old) == 1 and not new:
            notes.append("gamma is length / rate - 1, a whole number (rate before PR #23530)")
            return old.pop()
    notes.append("the series do not state how many tokens a round drafts: gamma null")
    return None


_RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "engine_type", "rank")


def _gauge(scrape: Scrape, name: str, notes: list[str]) -> float | None:
    """A gauge that all ranks agree on; None, with the reason, where there is no such value."""
    found: dict[Labels, float] = {}
    for (kind, labels), value in scrape.gauges.items():
        if kind == name:
            rest = tuple(p for p in labels if p[0] not in _RANKS)
            if not (math.isnan(value) and rest in found):
                found[rest] = value
    real = {k: v for k, v in found.items() if math.isfinite(v) and v > 0.0}
    if found and len(real) < len(found):
        notes.append(f"{len(found) - len(real)} gauges are NaN or 0: nothing was speculated yet")
    if not real:
        return None
    values = set(real.values())
    if len(values) > 1:
        shown = ", ".join(f"{v:g}" for v in sorted(values))
        notes.append(
            f"gauges of several engines differ ({shown}) and have no weights: length null, see "
            f"groups"
        )
        return None
    value = values.pop()
    if value < 1.0:
        raise ValueError(f"acceptance length with the bonus token must be >= 1, got {value:g}")
    notes.append("the length is a gauge of the last interval or iteration, not of the whole run")
    return value


def _groups(scrape: Scrape, counters: Mapping[tuple[str, Labels], int]) -> tuple[Group, ...]:
    """One group a label set, where there are several."""
    sets: dict[Labels, dict[str, float]] = {}
    for (kind, labels), value in (*counters.items(), *scrape.gauges.items()):
        if kind in ("rounds", "drafted", "accepted", "length"):
            sets.setdefault(labels, {})[kind] = value
    if len(sets) < 2:
        return ()
    groups = []
    for labels, values in sets.items():
        rounds, drafted = values.get("rounds"), values.get("drafted")
        accepted, length = values.get("accepted"), values.get("length")
        if rounds and accepted is not None:
            length = 1.0 + accepted / rounds
        groups.append(
            Group(
                label=", ".join(f"{k}={v}" for k, v in labels),
                rounds=None if rounds is None else int(rounds),
                drafted=None if drafted is None else int(drafted),
                accepted=None if accepted is None else int(accepted),
                acceptance_length=length if length and math.isfinite(length) else None,
            )
        )
    return tuple(groups)
