"""Answers in the words of an engine: schedules and simulated acceptance as it takes them.

What is handed over is an `Emission`: text to paste, the same as an object, and what it does not
say. A draft is known by what the engine calls its method, and by the model that it loads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ...calibrate.models.drafters import DRAFTERS, DrafterKind, Engine
from .emission import DraftWords, Emission

if TYPE_CHECKING:
    from ...calibrate.doors import Pair
    from ..pair_schedule import PairSchedule

ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp")


def draft_words(
    pair: Pair, engine: Engine, *, method: str | None = None, model: str | None = None
) -> DraftWords:
    """The method and model of a pair's draft; what is stated wins.

    Raises ValueError for a kind of drafter that the engine does not run.
    """
    kind = None if pair.at.draft is None else DRAFTERS[pair.head or "model"]
    if method is None and kind is not None and engine not in kind.engines:
        able = ", ".join(kind.engines)
        raise ValueError(
            f"{engine} runs no {kind.name} drafts; {able} do: state a method to insist"
        )
    flags_of = kind if method is None else _called(method, engine) or kind
    flags = flags_of.sglang_flags if flags_of is not None and engine == "sglang" else None
    if kind is None:
        return DraftWords(method, model, flags=flags)
    named = model or _path(pair, kind)
    notes: tuple[str, ...] = ()
    if named is None and kind.needs_path:
        notes = (f"add the path of the {kind.name} weights for this target",)
    called = method or kind.engines[engine]
    return DraftWords(called, named, kind.options, flags, notes)


def _called(method: str, engine: Engine) -> DrafterKind | None:
    """The kind that an engine calls so, None where the table has none."""
    same = (
        k for k in DRAFTERS.values() if k.engines.get(engine, "").casefold() == method.casefold()
    )
    return next(same, None)


def _path(pair: Pair, kind: DrafterKind) -> str | None:
    """Where the weights of the draft are: a kind alone is no path to load."""
    name = pair.at.draft
    if name is None or not kind.needs_path or (kind.is_head and "/" not in name):
        return None
    return name


def check_engine(engine: str | None, *, batch: int, adapt: bool, older: bool) -> None:
    """Raise ValueError for an engine that is none, and for what does not belong to it."""
    if engine is not None and engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    for name, used, owners in (
        ("adapt", adapt, ("sglang",)),
        ("older", older, ("tensorrt-llm", "llama.cpp")),
        ("batch", batch != 1, ("llama.cpp",)),
    ):
        if used and engine not in owners:
            raise ValueError(
                f"{name} goes with engine {' or '.join(owners)}, got {engine or 'none'}"
            )


def emit(
    found: PairSchedule,
    engine: str,
    *,
    method: str | None = None,
    model: str | None = None,
    batch: int = 1,
    adapt: bool = False,
    older: bool = False,
) -> Emission:
    """A schedule in an engine's words; method and model by default those of the named draft.

    batch: for llama.cpp, which takes one; adapt: SGLang chooses among likely gammas; older: words
    of older TensorRT-LLM and llama.cpp. Raises ValueError for what does not belong to the engine.
    """
    check_engine(engine, batch=batch, adapt=adapt, older=older)
    from .engines import emit_llama_cpp, emit_sglang, emit_tensorrt_llm, emit_vllm

    words = draft_words(found.pair, cast("Engine", engine), method=method, model=model)
    makers: dict[str, Callable[[], Emission]] = {
        "vllm": lambda: emit_vllm(found.made, words),
        "sglang": lambda: emit_sglang(found.made, words, adapt=adapt),
        "tensorrt-llm": lambda: emit_tensorrt_llm(found.made, words, older=older),
        "llama.cpp": lambda: emit_llama_cpp(found.made, words, batch=batch, older=older),
    }
    made = makers[engine]()
    return replace(made, notes=(*made.notes, *_by_context(found, engine)))


def _by_context(found: PairSchedule, engine: str) -> tuple[str, ...]:
    """What one table for several contexts hides: no engine takes an axis for the context."""
    made, laws = found.made, found.laws
    if laws is None or len(made.contexts) < 2:
        return ()
    from ..choice import choose
    from ..prediction import speedup_table

    def best(batch: int, context: float) -> int:
        load = {"batch": batch, "context": context}
        table = speedup_table(laws.acceptance.law, laws.costs.law, made.gamma_max, **load)
        plain = laws.costs.law.round_time(0, **load)[..., 0]
        table = table.reshape(-1, made.gamma_max + 1)
        return choose(table, objective=made.objective, plain=plain).gamma

    lines = (
        f"{context:g} cached tokens "
        + ", ".join(f"{best(r.last, context)} at batch {r.last}" for r in made.ranges)
        for context in made.contexts
    )
    return (
        f"{engine} takes no axis for the context: this is one table for all of them; the best "
        "gamma of each alone: " + "; ".join(lines),
    )
