"""A prediction for a named pair: what is not given is predicted, and the answer says so."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .checks import check_gamma_max, utf8

if TYPE_CHECKING:
    import numpy as np

    from ..calibrate.prior.pair import Load, NamedModel, Use
    from ..calibrate.prior.pair_acceptance import KnownAcceptance
    from ..sim.prediction import Prediction
    from ..theory import AcceptanceLaw, CostLaw

GAMMA_MAX, GAMMA_MAX_STATED = 16, 32
_DRAWS = 2000
_OF_PAIRS = (
    "device", "batch", "context", "dtype", "draft_dtype", "stack", "task", "temperature", "tuned",
    "online", "alpha_tokens", "acceptance", "statistics", "acceptance_length", "gamma", "costs",
)  # fmt: skip


@dataclass(frozen=True)
class PairOptions:
    """What was asked, as on the command line; None: not given."""

    target: str | None = None
    draft: str | None = None
    device: str | None = None
    batch: float = 1.0
    context: float = 0.0
    dtype: str = ""
    draft_dtype: str = ""
    stack: str | None = None
    task: str | None = None
    temperature: float | None = None
    tuned: bool = False
    online: bool = False
    alpha: float | None = None
    alpha_tokens: float | None = None
    decay: float = 1.0
    acceptance: str | None = None
    statistics: str | None = None
    gamma: int | None = None
    costs: str | None = None
    cost_ratio: float | None = None
    verify_slope: float = 0.0
    overhead: float = 0.0
    gamma_max: int | None = None
    level: float = 0.9
    seed: int = 0
    acceptance_length: str | None = None

    @property
    def asks_for_pair(self) -> bool:
        """Whether anything beyond plain numbers was given."""
        return bool(self.of_pairs) or self.target is not None or self.draft is not None

    @property
    def of_pairs(self) -> tuple[str, ...]:
        """Names of the options given that only a pair has."""
        usual = PairOptions()
        return tuple(
            n.replace("_", "-") for n in _OF_PAIRS if getattr(self, n) != getattr(usual, n)
        )


def one_thread() -> None:
    """Keep linear algebra on one thread: small matrices gain nothing from more, and threads that
    wait for each other on a busy machine take seconds. Before the first import of numpy only.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def predict_pair(asked: PairOptions) -> dict[str, Any]:
    """The answer of `howspec predict` for a named pair, with ``parts`` and ``pair``."""
    one_thread()
    import numpy as np

    from ..sim.prediction import predict as predict_laws
    from .predict import answer_of

    check_pair(asked)
    rng = np.random.default_rng(asked.seed)
    models, head = _models(asked)
    load, use = loads(asked, models, head), uses(asked)
    top = asked.gamma_max if asked.gamma_max is not None else _usual_top(asked)
    # Both laws are drawn from generators of their own: what is given of one leaves the other alone.
    for_costs, for_acceptance = rng.spawn(2)
    law, cost_part, notes, limit = _costs(asked, models, head, load, for_costs)
    top = min(top, limit) if asked.gamma_max is None else top
    dtype = cost_part.get("dtype") or asked.dtype
    known = _acceptance(asked, models, head, use, dtype, top, for_acceptance)
    if asked.gamma_max is None and known.gamma is not None:
        from ..calibrate.engines.evidence import reach

        top = min(max(reach(known.gamma), 8), limit, top)
    if asked.costs is not None:
        law = _accepted_whole(law, known.law, top)
    prediction = predict_laws(
        known.law, law, gamma_max=top, level=asked.level, batch=asked.batch, context=asked.context
    )
    answer = answer_of(
        prediction,
        _threshold(law, top, asked),
        _inputs(asked, top),
        top,
        (*notes, *known.notes),
    )
    acceptance_part = {
        "kind": known.kind,
        "source": known.given,
        "alpha": summary(known.alpha, asked.level),
    }
    answer["parts"] = {"acceptance": acceptance_part, "cost": cost_part}
    answer["pair"] = _pair(asked, models, head)
    if asked.gamma is not None and asked.gamma <= top:
        answer["at_gamma"] = _at(prediction, asked.gamma, asked.level)
    memory = cost_part.get("memory")
    if memory is not None and not memory["fits"]:
        _refuse(answer, memory["line"])
    answer["pays"] = answer["gamma"] > 0
    return answer


def _at(prediction: Prediction, gamma: int, level: float) -> dict[str, Any]:
    """What the measured gamma gives, and what it loses to the best one."""
    estimate = float(prediction.speedup_by_gamma[gamma])
    return {
        "gamma": gamma, "estimate": estimate, "low": float(prediction.low_by_gamma[gamma]),
        "high": float(prediction.high_by_gamma[gamma]), "level": level,
        "loss": 1.0 - estimate / prediction.speedup.estimate,
    }  # fmt: skip


def loads(
    asked: PairOptions,
    models: tuple[NamedModel, NamedModel] | None = None,
    head: str | None = None,
) -> Load | None:
    """Device and load, None where no device is named."""
    from ..calibrate.models import device
    from ..calibrate.prior.heads import head_dtype
    from ..calibrate.prior.pair import Load

    if asked.device is None:
        return None
    machine = device(asked.device)
    draft_dtype = asked.draft_dtype
    if head is not None and models is not None and not draft_dtype:
        draft_dtype = head_dtype(models[0], head, machine, asked.dtype)
    return Load(
        machine,
        dtype=asked.dtype,
        draft_dtype=draft_dtype,
        stack=asked.stack or "serving",
        batch=asked.batch,
        context=asked.context,
    )


def uses(asked: PairOptions) -> Use:
    """Task, temperature and training of the draft."""
    from ..calibrate.prior.pair import Use

    return Use(asked.task, asked.temperature, asked.tuned)


def summary(sample: Any, level: float) -> dict[str, float]:
    """Median and interval of a sample."""
    import numpy as np

    at = [0.5, 0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    middle, low, high = (float(x) for x in np.quantile(np.asarray(sample), at))
    return {"estimate": middle, "low": low, "high": high, "level": level}


def check_pair(asked: PairOptions) -> None:
    """Say what is missing, and what contradicts, before anything is read."""
    acceptance = {
        "--alpha": asked.alpha, "--acceptance": asked.acceptance,
        "--statistics": asked.statistics, "--acceptance-length": asked.acceptance_length,
    }  # fmt: skip
    costs = {"--cost-ratio": asked.cost_ratio, "--costs": asked.costs}
    for what, options in (("acceptance", acceptance), ("cost", costs)):
        named = [name for name, value in options.items() if value is not None]
        if len(named) > 1:
            raise ValueError(f"{what} comes from one of {', '.join(options)}; got {len(named)}")
    if asked.alpha_tokens is not None and asked.alpha is None:
        raise ValueError("--alpha-tokens goes with --alpha, got none")
    if asked.gamma is not None and asked.statistics is None and asked.acceptance_length is None:
        raise ValueError("--gamma goes with --statistics or --acceptance-length, got none")
    if asked.acceptance_length is not None and asked.gamma is None:
        raise ValueError("--acceptance-length needs --gamma, the draft tokens it was measured at")
    if asked.decay != 1.0 and (asked.alpha is None or asked.alpha_tokens is not None):
        raise ValueError("--decay goes with an --alpha without --alpha-tokens")
    if asked.cost_ratio is None and (asked.verify_slope or asked.overhead):
        raise ValueError("--verify-slope and --overhead go with --cost-ratio, got none")
    pair = {"--target": asked.target, "--draft": asked.draft}
    half = [name for name, value in pair.items() if value is None]
    if len(half) == 1:
        (other,) = (name for name in pair if name not in half)
        raise ValueError(
            f"{other} needs {half[0]}, or chooses within a --sweep: got no --sweep and no {half[0]}"
        )
    known = all(v is None for v in acceptance.values())
    if known or asked.alpha_tokens is not None:
        _need("acceptance", pair, ", ".join(acceptance))
    if all(v is None for v in costs.values()):
        _need("costs", {**pair, "--device": asked.device}, "--cost-ratio or --costs")
    if asked.gamma_max is not None:
        check_gamma_max(asked.gamma_max, 256)


def _need(what: str, options: dict[str, Any], instead: str) -> None:
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise ValueError(
            f"to predict {what}, predict needs {', '.join(options)} (or {instead}); "
            f"missing {' and '.join(missing)}"
        )


def _models(
    asked: PairOptions,
) -> tuple[tuple[NamedModel, NamedModel] | None, str | None]:
    """(target and draft, the kind of head that the draft is), None where not named."""
    from ..calibrate.prior.heads import named_draft
    from ..calibrate.prior.pair import named

    if asked.target is None or asked.draft is None:
        return None, None
    target = named(asked.target, online=asked.online)
    draft, head = named_draft(asked.draft, target, online=asked.online)
    return (target, draft), head


def _usual_top(asked: PairOptions) -> int:
    """Largest gamma tried by default: fewer where the acceptance is only predicted."""
    stated = asked.alpha is not None and asked.alpha_tokens is None
    return GAMMA_MAX_STATED if stated else GAMMA_MAX


def _acceptance(
    asked: PairOptions,
    models: tuple[NamedModel, NamedModel] | None,
    head: str | None,
    use: Use,
    dtype: str,
    top: int,
    rng: np.random.Generator,
) -> KnownAcceptance:
    from ..calibrate.prior import pair_acceptance as known
    from ..calibrate.prior.pair import expected_acceptance

    if asked.alpha is not None and asked.alpha_tokens is None:
        return known.stated(asked.alpha, decay=asked.decay, draws=_DRAWS)
    if asked.statistics is not None:
        return known.from_file(
            asked.statistics, rng, gamma=asked.gamma, positions=top, draws=_DRAWS
        )
    if asked.acceptance_length is not None:
        return _of_length(asked.acceptance_length, asked.gamma or 1, top, rng)
    if asked.acceptance is not None:
        from ..calibrate.records import read_record

        record = read_record(asked.acceptance, "acceptance")
        draft = None if models is None else models[1].called
        return known.from_rounds(
            record, rng, draft=draft, temperature=asked.temperature, domain=asked.task,
            positions=top, draws=_DRAWS,
        )  # fmt: skip
    assert models is not None
    target, draft_model = models
    if head is not None:
        from ..calibrate.prior.heads import expected_head

        if asked.alpha is not None:
            raise ValueError(f"--alpha-tokens goes with draft models, got the {head} head of one")
        return expected_head(
            head, target.called, rng, task=use.task, temperature=use.temperature,
            positions=top, draws=_DRAWS,
        )  # fmt: skip
    forecast = expected_acceptance(
        target, [draft_model], use=use, dtype=dtype, rng=rng, draws=_DRAWS
    ).of(0)
    if asked.alpha is not None:
        assert asked.alpha_tokens is not None
        return known.updated(
            forecast, asked.alpha, tokens=asked.alpha_tokens, rng=rng, positions=top
        )
    return known.predicted(forecast, positions=top)


def _of_length(length: str, gamma: int, top: int, rng: np.random.Generator) -> KnownAcceptance:
    from ..calibrate.engines.evidence import from_length
    from ..calibrate.prior.pair_acceptance import KnownAcceptance
    from ..theory import tokens_by_gamma

    found = from_length(length, gamma, rng, positions=top, draws=_DRAWS)
    tokens = tokens_by_gamma(found.sample, gamma)
    pooled = (tokens[:, gamma] - 1.0) / tokens[:, gamma - 1]  # accepted over decided
    return KnownAcceptance(found.sample, "measured", found.given, pooled, found.gamma, found.notes)


def _costs(
    asked: PairOptions,
    models: tuple[NamedModel, NamedModel] | None,
    head: str | None,
    load: Load | None,
    rng: np.random.Generator,
) -> tuple[CostLaw, dict[str, Any], tuple[str, ...], int]:
    """(law, what the answer says of it, notes, largest gamma that it covers)."""
    from ..calibrate.prior.heads import head_costs
    from ..calibrate.prior.pair import expected_costs

    expected = None
    if models is not None and load is not None:
        if head is not None:
            expected = head_costs(*models, load=load, rng=rng, draws=_DRAWS)
        else:
            expected = expected_costs(models[0], [models[1]], load=load, rng=rng, draws=_DRAWS)[0]
    if asked.cost_ratio is None and asked.costs is None:
        assert expected is not None
        source = f"shapes and {expected.device}, stack {expected.stack}"
        part = _cost_part(expected, "predicted", source, asked)
        return expected, part, expected.notes, 10**6
    law, part, notes, limit = _given_costs(asked, models, load, rng)
    if expected is not None:
        part.setdefault("memory", _memory(expected))
        part.setdefault("dtype", expected.dtype)
        notes = tuple(dict.fromkeys((*notes, *(n for n in expected.notes if "stack" not in n))))
    return law, part, notes, limit


def _given_costs(
    asked: PairOptions,
    models: tuple[NamedModel, NamedModel] | None,
    load: Load | None,
    rng: np.random.Generator,
) -> tuple[CostLaw, dict[str, Any], tuple[str, ...], int]:
    from ..theory import AffineCost

    notes: tuple[str, ...] = ()
    if asked.cost_ratio is not None:
        law: CostLaw = AffineCost(asked.cost_ratio, asked.verify_slope, asked.overhead)
        if asked.batch != 1.0 or asked.context:
            notes = ("a cost ratio holds where it was measured: --batch and --context change none",)
        part = _cost_part(law, "measured", f"cost ratio {asked.cost_ratio:g} as stated", asked)
        return law, part, notes, 10**6
    assert asked.costs is not None
    if asked.costs.endswith(".csv"):
        from ..calibrate.engines.pass_table import read_pass_table, table_limits

        with utf8(asked.costs):
            table = read_pass_table(asked.costs)
        part = _cost_part(table, "measured", f"table of passes {asked.costs}", asked)
        return table, part, (), table_limits(table)[0]
    if _is_law(asked.costs):
        from .laws import cost_law

        law = cost_law(asked.costs)[0]
        return law, _cost_part(law, "measured", f"cost law {asked.costs}", asked), (), 10**6
    return _from_record(asked, models, load, rng)


def _from_record(
    asked: PairOptions,
    models: tuple[NamedModel, NamedModel] | None,
    load: Load | None,
    rng: np.random.Generator,
) -> tuple[CostLaw, dict[str, Any], tuple[str, ...], int]:
    from dataclasses import replace

    from ..calibrate.prior.costs_records import measured_device
    from ..calibrate.prior.pair import Load
    from ..calibrate.prior.pair_costs import recorded_costs, timed_costs
    from ..calibrate.records import read_record

    assert asked.costs is not None
    if models is None:
        raise ValueError("a cost record needs --target and --draft, got no pair")
    record = read_record(asked.costs, "costs")
    machine = measured_device(record, load.device if load else None)
    used = load or Load(
        machine, asked.dtype, asked.draft_dtype, batch=asked.batch, context=asked.context
    )
    timed = timed_costs(
        record, *models, load=used, rng=rng, temperature=asked.temperature or 0.0, draws=_DRAWS
    )
    if timed is not None:
        source = f"rounds of this pair in {asked.costs}, stack {timed.stack}"
        part = _cost_part(timed.law, "measured", source, asked)
        part |= {"stack": timed.stack, "device": machine.label}
        return timed.law, part, timed.notes, timed.gamma_max
    found = recorded_costs(
        record, *models, load=replace(used, device=machine), rng=rng, draws=_DRAWS, on=machine
    )
    lacking = [m.called for m in models if m.called not in found.measured]
    kind = "predicted" if lacking else "measured"
    source = f"cost record {asked.costs}, stack {found.stack}"
    notes = list(found.law.notes)
    if lacking:
        source += f"; {' and '.join(lacking)} from shape and machine"
    if asked.stack is not None and found.stack != used.stack:
        notes.append(f"the record is of the stack {found.stack}, not of {asked.stack}")
    return found.law, _cost_part(found.law, kind, source, asked), tuple(notes), 10**6


def _accepted_whole(law: CostLaw, acceptance: AcceptanceLaw, top: int) -> CostLaw:
    """A law of timed rounds told how often they are accepted whole; any other as it is."""
    from ..calibrate.measured import SampledCost
    from ..theory.acceptance.law import accepted_whole

    if not isinstance(law, SampledCost):
        return law
    whole = accepted_whole(acceptance, top).reshape(-1, top + 1)
    return law.after(whole.mean(axis=0))


def _is_law(path: str) -> bool:
    """Whether a file is a JSON object with "law", as `howspec simulate --costs` takes it."""
    import json
    from pathlib import Path

    if Path(path).is_dir():
        return False
    with Path(path).open("rb") as file:
        head = file.read(1 << 16)
    try:
        value = json.loads(head)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "law" in value


def _cost_part(law: CostLaw, kind: str, source: str, asked: PairOptions) -> dict[str, Any]:
    """What the answer says of a cost law: its ratio at the operating point, and where from."""
    import numpy as np

    from ..calibrate.measured import SampledCost
    from ..calibrate.prior.costs import PredictedCost

    part: dict[str, Any] = {"kind": kind, "source": source}
    at = {"batch": asked.batch, "context": asked.context}
    if isinstance(law, PredictedCost | SampledCost):
        part["cost_ratio"] = summary(law.cost_ratio(**at), asked.level)
        part["plain_step_s"] = summary(law.plain_step(**at), asked.level)
    if isinstance(law, PredictedCost):
        part |= {"stack": law.stack, "device": law.device, "dtype": law.dtype}
        part |= {"draft_dtype": law.draft_dtype, "memory": _memory(law)}
    elif not isinstance(law, SampledCost) and hasattr(law, "cost_ratio"):
        part["cost_ratio"] = summary(np.asarray(law.cost_ratio, dtype=float), asked.level)
    return part


def _memory(law: Any) -> dict[str, Any] | None:
    need = law.memory
    if need is None:
        return None
    return {
        "fits": bool(need.fits),
        "line": need.line,
        "weights_bytes": float(need.weights),
        "caches_bytes": float(need.caches),
        "usable_bytes": float(need.usable),
        "largest_batch": int(need.largest),
    }


def _threshold(law: CostLaw, top: int, asked: PairOptions) -> float | None:
    """Constant conditional rate above which some gamma pays, at the median costs."""
    from ..sim.choice import RoundTimes
    from ..sim.prediction import break_even

    times = RoundTimes.of(law, top, batch=asked.batch, context=asked.context)
    return break_even(times, decay=asked.decay, gamma_max=top)


def _inputs(asked: PairOptions, top: int) -> dict[str, Any]:
    given = {k: v for k, v in vars(asked).items() if v is not None and v != ""}
    return given | {"gamma_max": top}


def model_entry(model: NamedModel) -> dict[str, Any]:
    """A model as it stands in an answer."""
    return {
        "name": model.called,
        "table_name": model.shape.name,
        "parameters": model.parameters,
        "layers": model.shape.layers,
        "vocab": model.shape.vocab,
    }


def _pair(
    asked: PairOptions, models: tuple[NamedModel, NamedModel] | None, head: str | None
) -> dict[str, Any]:
    from ..calibrate.prior.pair import same_vocabulary

    pair: dict[str, Any] = {
        "target": asked.target, "draft": asked.draft, "device": asked.device, "task": asked.task,
        "temperature": asked.temperature, "batch": asked.batch, "context": asked.context,
    }  # fmt: skip
    if models is not None:
        pair["target"], pair["draft"] = model_entry(models[0]), model_entry(models[1])
        pair["same_vocabulary"] = head is not None or same_vocabulary(*models)
        pair["head"] = head
    return pair


def _refuse(answer: dict[str, Any], line: str) -> None:
    """Turn an answer into NO: what does not fit cannot run, however fast it would be."""
    from dataclasses import replace

    answer["if_it_fitted"] = {"gamma": answer["gamma"], "speedup": answer["speedup"]}
    answer["speedup"] = replace(answer["speedup"], estimate=1.0, low=1.0, high=1.0)
    answer["gamma"], answer["gamma_real"], answer["gamma_window"] = 0, 0.0, [0]
    answer["probability_gain"] = 0.0
    about = ("flat optimum", "the best gamma", "the speed-up keeps rising", line)
    answer["notes"] = [line, *(n for n in answer["notes"] if not n.startswith(about))]


def part_lines(answer: dict[str, Any]) -> list[str]:
    """Lines that say where acceptance and costs come from."""
    lines = []
    for name, quantity in (("acceptance", "alpha"), ("cost", "cost_ratio")):
        part = answer["parts"][name]
        line = f"{name}: {part['kind']} ({part['source']})"
        value = part.get(quantity)
        if value is not None:
            line += f"; {quantity.replace('_', ' ')} {value['estimate']:.3f}"
            if value["low"] < value["high"]:
                line += f" ({100 * value['level']:g} % {value['low']:.3f}-{value['high']:.3f})"
        lines.append(line)
    return lines
