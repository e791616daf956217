"""What a server says of itself: engine, version, model, speculation, and counts of its metrics."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..engines.prometheus import PrometheusText
from ..engines.prometheus_counts import Key, by_position, totals
from .client import Client

# How engines call themselves in the list of models.
_OWNERS = {
    "vllm": "vllm", "llamacpp": "llama.cpp", "sglang": "sglang", "lmdeploy": "lmdeploy",
    "tensorrt_llm": "tensorrt-llm", "tensorrt-llm": "tensorrt-llm",
}  # fmt: skip
_FLAGS = {
    "speculative_algorithm", "speculative_num_steps", "speculative_eagle_topk",
    "speculative_num_draft_tokens", "speculative_draft_model_path", "dtype", "quantization",
    "tp_size", "kv_cache_dtype", "total_slots", "max_model_len", "n_ctx",
}  # fmt: skip
# What each engine is asked for besides: to go on to the last token, to count as it streams, and to
# take no prompt from a cache, which would hide its time.
_USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
_ASKED: dict[str, dict[str, Any]] = {
    "vllm": {"ignore_eos": True, **_USAGE},
    "sglang": {"ignore_eos": True, **_USAGE},
    "tensorrt-llm": {"ignore_eos": True, **_USAGE},
    "lmdeploy": {"ignore_eos": True, "stream_options": {"include_usage": True}},
    "llama.cpp": {
        "ignore_eos": True, "cache_prompt": False, "timings_per_token": True,
        "stream_options": {"include_usage": True},
    },
}  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """What a server says of itself.

    engine: its name, "unknown" where it does not say; model: that it serves; flags: those that it
    tells; method, gamma: of its speculation, None where it does not say, gamma 0 where it says
    that it does not speculate.
    """

    engine: str
    version: str
    model: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None
    gamma: int | None = None

    @property
    def called(self) -> str:
        """The model as a record names it: of a path on the server's disk, the file's name."""
        path = self.model.startswith(("/", "~", "./", "../")) or self.model[1:3] in (":\\", ":/")
        return re.split(r"[/\\]", self.model)[-1] if path else self.model

    @property
    def asked(self) -> dict[str, Any]:
        """What its requests hold besides the usual."""
        return dict(_ASKED.get(self.engine, {"stream_options": {"include_usage": True}}))


async def identify(client: Client, model: str | None) -> Identity:
    """Ask a server what it is.

    model: that must be served, by default the only one. Raises ValueError where the server does not
    answer, is not of this interface, or serves another model.
    """
    listed = await client.get_json("/v1/models")
    rows = listed.get("data") if isinstance(listed, Mapping) else None
    known = [r for r in rows or [] if isinstance(r, Mapping) and isinstance(r.get("id"), str)]
    if not known:
        raise ValueError(f"{client.url}: is no OpenAI-compatible server: /v1/models lists no model")
    row = _chosen(known, model, client.url)
    engine = _OWNERS.get(str(row.get("owned_by", "")).casefold(), "unknown")
    if engine == "llama.cpp":
        props = _object(await client.get_json("/props"))
        return _llama_cpp(row, props, await client.get_json("/slots"))
    told = _object(await client.get_json("/get_server_info"))
    if engine == "sglang" or "speculative_algorithm" in told:
        return _sglang(row, told)
    version = str(_object(await client.get_json("/version")).get("version", ""))
    flags = _told(row)
    method, gamma = None, None
    if engine == "vllm":
        config = _object(await client.get_json("/server_info?config_format=json"))
        method, gamma = _vllm(config)
    return Identity(engine, version, str(row["id"]), flags, method, gamma)


def _chosen(rows: list[Mapping[str, Any]], model: str | None, url: str) -> Mapping[str, Any]:
    names = [str(r["id"]) for r in rows]
    if model is None and len({r.get("root", r["id"]) for r in rows}) > 1:
        raise ValueError(f"{url}: serves several models, name one: {', '.join(names)[:200]}")
    found = next((r for r in rows if model in (None, r["id"])), None)
    if found is None:
        raise ValueError(f"{url}: serves {', '.join(names)[:200]}, not {model}")
    return found


def _llama_cpp(row: Mapping[str, Any], props: Mapping[str, Any], slots: Any) -> Identity:
    """Whether slots speculate; the types in its default settings are "none" in any case."""
    said = [s.get("speculative") for s in slots or [] if isinstance(s, Mapping)]
    off = bool(said) and not any(said)
    settings = {**_object(props.get("default_generation_settings")), **props}
    return Identity(
        "llama.cpp", str(props.get("build_info", "")), str(row["id"]), _told(settings),
        gamma=0 if off else None,
    )  # fmt: skip


def _sglang(row: Mapping[str, Any], told: Mapping[str, Any]) -> Identity:
    method = told.get("speculative_algorithm")
    drafted = told.get("speculative_num_draft_tokens")
    top = told.get("speculative_eagle_topk")
    gamma = drafted - 1 if isinstance(drafted, int) and drafted > 1 and top in (None, 1) else None
    known = isinstance(method, str) and method.casefold() not in ("", "none")
    return Identity(
        "sglang", str(told.get("version", "")), str(row["id"]), _told(told),
        method=str(method) if known else None,
        gamma=gamma if known else 0 if "speculative_algorithm" in told else None,
    )  # fmt: skip


def _vllm(config: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Method and gamma of a server that was started to tell its configuration."""
    whole = _object(config.get("vllm_config"))
    told = _object(whole.get("speculative_config", config.get("speculative_config")))
    gamma, method = told.get("num_speculative_tokens"), told.get("method")
    return (
        method if isinstance(method, str) else None,
        gamma if isinstance(gamma, int) else None,
    )


def gamma_of_metrics(text: bytes | None, engine: str) -> int | None:
    """Draft tokens of a round that the series of a scrape show; 0: the engine does not speculate.

    None where that is open. vLLM has a series for every position from its start, and none without
    speculation.
    """
    if text is None:
        return None
    places = {int(n) for n in re.findall(rb'_per_pos(?:_total)?\{[^}]*position="(\d{1,4})"', text)}
    if places:
        return max(places) + 1
    return 0 if engine == "vllm" and b"vllm:generation_tokens" in text else None


def _told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of a server's settings that say how it decodes, never a path."""
    kept = {n: v for n, v in settings.items() if n in _FLAGS and isinstance(v, int | float | str)}
    return {n: v.rsplit("/", 1)[-1] if isinstance(v, str) else v for n, v in kept.items()}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


_ENGINES = ("vllm", "llama.cpp", "tensorrt-llm", "sglang")
_PAUSE_S, _PATIENCE = 0.05, 40


@dataclass(frozen=True)
class Counted:
    """Counters of one engine in a scrape; see `Counted.since`."""

    engine: str
    counters: Mapping[Key, int]

    def since(self, before: Counted) -> dict[str, Any]:
        """What was counted since an earlier scrape, by the names of a point of a record.

        Raises ValueError where the server was started again in between.
        """
        gained = {key: n - before.counters.get(key, 0) for key, n in self.counters.items()}
        if min(gained.values(), default=0) < 0:
            raise ValueError("the server was started again: its counters fell")
        sums, ladder = totals(gained), by_position(gained)
        found: dict[str, Any] = {n: sums.get(n) for n in ("rounds", "drafted", "accepted")}
        return found | {"accepted_by_position": ladder, "counted_tokens": sums.get("tokens")}


def counted(text: bytes | None, model: str) -> Counted | None:
    """The counters of a scrape, of the model where its series are labelled; None without any."""
    reader = PrometheusText()
    for line in (text or b"").decode("utf-8", "replace").splitlines():
        reader.feed(line)
    for scrape in reader.scrapes.values():
        own = scrape.of_model(model) if model in scrape.models() else scrape
        if own.counters and own.engine in _ENGINES:
            return Counted(own.engine, own.counters)
    return None


async def settled(client: Client, model: str) -> Counted | None:
    """The counters once two scrapes agree: engines count a moment after they answer."""
    last = counted(await client.metrics(), model)
    for _ in range(_PATIENCE if last is not None else 0):
        await asyncio.sleep(_PAUSE_S)
        now = counted(await client.metrics(), model)
        if now == last:
            break
        last = now
    return last
