"""A running server, measured under load: its times, and what it accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer
from ..measured import at_place
from ..table import Column, Table, percent

if TYPE_CHECKING:
    from ..calibrate.records import Record
    from ..calibrate.serving.compare import Level


@dataclass(frozen=True, repr=False)
class Measurement(Answer):
    """A measured server; see `howspec.measure`.

    levels: one a batch; record: of the points; path: where it is.
    """

    SCHEMA = "measurement"

    levels: tuple[Level, ...]
    record: Record
    path: Path
    said: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        return self.said

    def data(self) -> Mapping[str, object]:
        server = self.record.provenance["server"]
        return {
            "server": server, "settings": self.record.settings, "levels": self.levels,
            "record": str(self.path), "notes": self.notes,
        }  # fmt: skip

    def headline(self) -> str:
        server, some = self.record.provenance["server"], self.levels[0]
        named = f"{server['engine']} {server['version']}".strip()
        return f"measured {some.configuration} on {named}, {len(self.levels)} levels of load"

    def blocks(self) -> Iterator[str | Table]:
        levels = self.levels
        yield Table((
            Column("batch", [x.batch for x in levels]),
            Column("requests", [x.requests for x in levels]),
            Column("first token ms", [x.first_token_ms for x in levels], ".1f"),
            Column("ms a token", [x.token_ms for x in levels], ".2f"),
            Column("95 % of gaps ms", [x.gap_95_ms for x in levels], ".2f"),
            Column("tokens/s", [x.tokens_per_s for x in levels], ".1f"),
            Column("tokens a step", [x.tokens_per_step for x in levels], ".3f"),
            Column("step ms", [x.step_ms for x in levels], ".2f"),
            Column("drafting steps", [x.coverage for x in levels], percent),
        ))  # fmt: skip
        shares = [x for x in levels if x.survival]
        if shares:
            places = range(1, max(len(x.survival or ()) for x in shares) + 1)
            yield Table(
                (
                    Column("batch", [x.batch for x in shares]),
                    *(Column(f"{k}", [at_place(x.survival, k - 1) for x in shares], ".3f")
                      for k in places),
                ),
                title="share of steps that accepted draft token k",
            )  # fmt: skip
        yield f"record: {self.path}"


def measure(
    url: str,
    *,
    out: str | Path,
    batch: int | Sequence[int] = (1, 4),
    requests: int = 12,
    new_tokens: int = 128,
    model: str | None = None,
    draft: str | None = None,
    method: str | None = None,
    gamma: int | None = None,
    prompts: str | Path | None = None,
    field: str = "prompt",
    temperature: float = 0.0,
    warmup: int = 1,
    completions: bool = False,
    keep_texts: bool = False,
    timeout_s: float = 120.0,
    command: str = "",
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Measurement:
    """Measure an OpenAI-compatible server: times token by token, and acceptance by position.

    url: of the server; out: the record, a .json file or its folder, which `howspec.predict` and
    others take as acceptance and as costs, a folder with all configurations of a server in it; a
    second call with the same ``out`` goes on. batch: requests sent together, one level each;
    requests: at each level; new_tokens: of each. model: that must be served; draft, method, gamma:
    of its speculation, where it does not say (gamma 0: plain decoding). prompts: a file, its texts
    in ``field``, default built-in ones; completions: of plain text, without a chat's template;
    keep_texts: of prompts and answers. timeout_s: the longest silence; command: by which the server
    was started, kept in the record. progress: called with (name, done, of). An API key is read from
    the environment variable HOWSPEC_API_KEY. Raises ValueError for a server that cannot be
    measured, and keeps the points measured before.
    """
    from ..calibrate.serving import ServingPlan, measure_server
    from ..calibrate.serving.compare import levels_of

    levels = (batch,) if isinstance(batch, int) else tuple(batch)
    plan = ServingPlan(
        levels, requests, new_tokens, warmup, temperature, seed,
        "completions" if completions else "chat", timeout_s,
    )  # fmt: skip
    found = measure_server(
        url, out, plan=plan, model=model, draft=draft, method=method, gamma=gamma, prompts=prompts,
        field=field, keep_texts=keep_texts, command=command,
        progress=progress or (lambda what, done, total: None),
    )  # fmt: skip
    return Measurement(levels_of(found.record), found.record, found.path, found.notes)
