r"""Prometheus text of every engine that has one: counters and gauges with labels.

    name{label="value",...} number [timestamp]        or, as query tools print it, ... | number

Counters run since the start of the server; two scrapes give the interval between them. A counter
that falls was started again, and counts from zero. Names that end in _created are times and are
left out.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..stated import printed
from .counts import EngineCounts
from .lines import Damage
from .prometheus_counts import Key, Series, counts_of, increase

_SAMPLE = re.compile(
    r"^[\s|`]*([A-Za-z_][\w:]*)\s*(\{(?:[^\"}]|\"(?:\\.|[^\"\\])*\")*\})?`?(?:\s*(?:\||=>|=)\s*|\s+)([^\s|]+)"
    r"(?:\s+[^\s|]+)?(?:\s+#.*)?[\s|]*$"
)
_SPOKEN = re.compile(r"\s*([A-Za-z_][\w:]*)\s*\(([\w=, \"'./:-]+)\)\s*[=:]?\s*(\S+)\s*$")
_PAIR = re.compile(r"(\w+)\s*=\s*[\"']?([^,\"')]*)")
_LABEL = re.compile(r"([A-Za-z_]\w*)\s*=\s*\"((?:\\.|[^\"\\])*)\"")
_PREFIX = re.compile(r"^(?:ray_)?(vllm|llamacpp|trtllm|sglang|tgi)[:_](.+?)(_total)?$")
# Engines by the prefix of their series.
_WORDS = {"vllm": "vllm", "llamacpp": "llama.cpp", "trtllm": "tensorrt-llm", "sglang": "sglang",
          "tgi": "tgi"}  # fmt: skip
_COUNTERS = {
    "spec_decode_num_drafts": "rounds",
    "spec_decode_num_draft_tokens": "drafted",
    "spec_decode_num_accepted_tokens": "accepted",
    "spec_decode_num_accepted_tokens_per_pos": "position",
    "spec_decode_num_emitted_tokens": "emitted",
    "spec_verify_calls": "rounds",
    "spec_num_proposed_drafts": "drafted",
    "spec_num_correct_drafts": "accepted",
    # llama.cpp PRs 23328 and 25327
    "spec_tokens_drafted": "drafted",
    "spec_tokens_accepted": "accepted",
    "draft_tokens": "drafted",
    "draft_tokens_accepted": "accepted",
    "draft_verify_steps": "rounds",
    # all tokens, those of steps that drafted nothing included
    "generation_tokens": "tokens",
    # TGI: draft tokens that each step of a request kept
    "request_skipped_tokens_count": "rounds",
    "request_skipped_tokens_sum": "accepted",
    "request_skipped_tokens_bucket": "at_most",
    "tokens_predicted": "tokens",
}
_GAUGES = {
    "spec_accept_length": "length",
    "spec_accept_rate": "rate",
    "spec_num_steps": "steps",
    "spec_num_draft_tokens": "slots",
    "spec_decode_acceptance_length": "length",
    "spec_decode_draft_acceptance_rate": "rate",
    "spec_decode_efficiency": "efficiency",
    "spec_decode_draft_overhead": "draft_overhead",
    "spec_total_accept_length": "total_length",
    "draft_mean_accept_len": "total_length",
    # SGLang PR 31750: of the rounds that accepted all before the position, not of all rounds
    "spec_accept_rate_per_position": "conditional",
    "spec_total_accept_rate_per_position": "total_conditional",
}
# Counter(name='..', labels={..}, value=3), Vector(.., values=[3, 2]) of vLLM's get_metrics
_REPR = re.compile(r"name='([\w:]+)', labels=\{([^}]*)\}, values?=\[?([\d., e+]+)\]?")
_N = TypeVar("_N", int, float)
_CONFIG = "speculative_config_info"
# What a counter gained in AIPerf's export, else the mean of a gauge.
_GAINED = ("total", "delta", "increase", "value", "avg", "last")


@dataclass
class Scrape(Series):
    """Series of one engine as they are read.

    repeated, fallen: series that stand more than once, and counters among them that fell, which
    are added up; model: only the series of this model; before: an earlier scrape, which is
    subtracted.
    """

    repeated: int = 0
    fallen: dict[Key, int] = field(default_factory=dict)
    damage: Damage = field(default_factory=lambda: Damage("Prometheus"))
    model: str | None = None
    before: Scrape | None = None

    def take(self, name: str, labels: str, text: str) -> tuple[Key, int] | None:
        """Take a sample; returns the counter that it is of, None for a gauge or nothing known."""
        pairs = dict(_LABEL.findall(labels))
        if name.endswith(_CONFIG) and pairs.get("spec_num_tokens", "").isdigit():
            self.gammas.add(int(pairs["spec_num_tokens"]))
            return None
        name = name.removesuffix("_total")
        kind, gauge = _COUNTERS.get(name), _GAUGES.get(name)
        if kind is None and gauge is None:
            return None
        try:
            value = float(printed(text).value)
        except ValueError as error:
            self.damage.add(str(error))
            return None
        key = tuple(sorted(pairs.items()))
        if gauge is not None:
            self.repeated += (gauge, key) in self.gauges
            self.gauges[gauge, key] = value
        elif math.isnan(value):
            self.damage.add(f"counter {name} is NaN")
        elif kind is not None:
            if not (0 <= value <= 2.0**63 and value == int(value)):
                raise ValueError(f"{name} must be a whole number in [0, 2^63], got {text}")
            self.keep_counter((kind, key), int(value))
            return (kind, key), int(value)
        return None

    def keep_counter(self, key: Key, value: int) -> None:
        """Take a counter; one that fell belongs to a server that was started again."""
        before = self.counters.get(key)
        if before is not None:
            self.repeated += 1
            ended = self.fallen.get(key, 0)
            if value < before - ended:
                ended = self.fallen[key] = before
            value += ended
        self.counters[key] = value

    def notes(self) -> list[str]:
        """What to know of series that stand more than once."""
        said = []
        if self.repeated:
            said.append(
                f"{self.repeated} series stand more than once: the last value is taken; an "
                f"earlier scrape belongs in --before"
            )
        if self.fallen:
            said.append(
                f"{len(self.fallen)} counters fell within the source: the server was started "
                f"again, and what it counted before is added"
            )
        return said

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

        def kept(series: Mapping[Key, _N]) -> dict[Key, _N]:
            own = {("model_name", model), ("model", model)}
            return {key: v for key, v in series.items() if own.intersection(key[1])}

        return replace(
            self, counters=kept(self.counters), gauges=kept(self.gauges), fallen=kept(self.fallen)
        )

    def result(self) -> EngineCounts | None:
        """The totals, less those of the scrape before."""
        scrape, before = self, self.before
        if not any(kind != "tokens" for kind, _ in self.counters) and not self.gauges:
            self.damage.refuse_if_alone(0)
            return None
        notes = self.damage.notes()
        if self.model is not None:
            scrape = self.of_model(self.model)
            before = None if before is None else before.of_model(self.model)
        elif len(models := sorted(self.models())) > 1:
            notes.append(
                f"series of several models are added up: {', '.join(models)}; --model takes one"
            )
        notes += scrape.notes()
        counters = scrape.counters
        if before is not None:
            counters = increase(counters, before.counters, notes)
        elif counters:
            notes.append("counters run since the start of the server; --before gives an interval")
        return counts_of(scrape, counters, notes)


class PrometheusText:
    """Collects the series of every engine from the lines of a scrape, or of several."""

    markers: tuple[bytes, ...] = (b"spec_", b"llamacpp:draft_", b"speculative_config_info",
                                  b"_skipped_tokens_", b"generation_tokens_total",
                                  b"tokens_predicted_total")  # fmt: skip

    def __init__(self) -> None:
        self.scrapes = {word: Scrape(engine) for word, engine in _WORDS.items()}

    def feed(self, line: str) -> None:
        """Take one line."""
        self._feed(line)

    def over_time(self, name: str, values: list[str]) -> None:
        """Take the samples of one series in the order of time: the first is subtracted."""
        for k, value in enumerate(values):
            taken = self._feed(f"{name} {value}")
            if k == 0 and len(values) > 1 and taken is not None:
                scrape, counter = taken
                scrape.before = scrape.before or Scrape(scrape.engine)
                scrape.before.keep_counter(*counter)

    def columns(self, text: str) -> None:
        """Take the columns of a panel that Grafana exported, a series each, a row a time."""
        try:
            header, *rows = csv.reader(io.StringIO(text))
        except csv.Error as error:
            raise ValueError(f"is no table of a panel: {error}") from None
        for k, cell in enumerate(header):
            named = re.match(r'\s*\{(.*?)__name__="([^"]+)",?\s*(.*)\}\s*$', cell)
            name = f"{named[2]}{{{named[1]}{named[3]}}}" if named else cell
            self.over_time(name, [r[k].strip() for r in rows if len(r) > k and r[k].strip()])

    def take(self, value: dict[str, Any]) -> None:
        """Take what an object holds of a query of Prometheus, or of AIPerf's export of metrics.

        The export, server_metrics_export.json, says what each counter gained during the run.
        """
        data, metrics = value.get("data"), value.get("metrics")
        for sample in _objects(data.get("result") if isinstance(data, dict) else None):
            metric, pairs = sample.get("metric"), sample.get("values", [sample.get("value")])
            if isinstance(metric, dict):
                named = {k: v for k, v in metric.items() if k != "__name__"}
                name = f"{metric.get('__name__', '')}{{{_labels(named)}}}"
                self.over_time(
                    name, [str(p[1]) for p in pairs if isinstance(p, list) and len(p) == 2]
                )
        for name, metric in metrics.items() if isinstance(metrics, dict) else ():
            for one in _objects(metric.get("series") if isinstance(metric, dict) else None):
                stats, labels = one.get("stats"), one.get("labels")
                stats = stats if isinstance(stats, dict) else one
                gain = next(
                    (stats[k] for k in _GAINED if isinstance(stats.get(k), int | float)), None
                )
                pairs = dict(labels) if isinstance(labels, dict) else {}
                if isinstance(one.get("endpoint_url"), str):
                    pairs["endpoint_url"] = one["endpoint_url"]
                if gain is not None:
                    self.feed(f"{name}{{{_labels(pairs)}}} {gain}")

    def _feed(self, line: str) -> tuple[Scrape, tuple[Key, int]] | None:
        """Take one line; returns the scrape and the counter that it belongs to."""
        if line.lstrip().startswith("#"):
            return None
        if "name='" in line and (found := _REPR.search(line)):
            for sample in _samples(*found.groups()):
                self._feed(sample)
            return None
        if (spoken := _SPOKEN.match(line)) is not None:
            pairs = ",".join(f'{k}="{v}"' for k, v in _PAIR.findall(spoken[2]))
            line = f"{spoken[1]}{{{pairs}}} {spoken[3]}"
        first = line.split("{")[0].replace("|", " ").replace("`", " ").split()
        named = _PREFIX.match(first[0]) if first else None
        if named is None:
            return None
        scrape, found = self.scrapes[named[1]], _SAMPLE.match(line)
        if found is None:
            if "spec" in named[2] or "draft" in named[2]:
                scrape.damage.add(f"must be name{{labels}} number, got {line.strip()[:120]!r}")
            return None
        counter = scrape.take(named[2], found[2] or "", found[3])
        return None if counter is None else (scrape, counter)


def _samples(name: str, labels: str, values: str) -> list[str]:
    """Lines of Prometheus text for a metric as Python prints it; values by position."""
    pairs = [f'{k}="{v}"' for k, v in re.findall(r"'(\w+)': '([^'\"]*)'", labels)]
    numbers = [v for v in re.split(r"[,\s]+", values) if v]
    if not name.endswith("_per_pos"):
        return [f"{name}{{{','.join(pairs)}}} {v}" for v in numbers]
    inside = ",".join([*pairs, ""])
    return [f'{name}{{{inside}position="{k}"}} {v}' for k, v in enumerate(numbers)]


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _labels(pairs: dict[str, Any]) -> str:
    return ",".join(f'{k}="{v}"' for k, v in pairs.items() if '"' not in str(v))
