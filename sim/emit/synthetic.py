r"""Settings with which an engine accepts a wanted number of draft tokens, whatever the draft says.

    tau = 1 + sum of s_k, in [1, gamma + 1]

With acceptance set, a benchmark measures the cost side alone. The engines agree on the name and not
on the number: vLLM, SGLang, llama.cpp and ATOM take the acceptance length tau with the bonus token,
TensorRT-LLM the accepted draft tokens tau - 1. The text that comes out is meaningless.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...calibrate.evidence import check_gamma
from ...theory import DepthAcceptance
from ...theory.acceptance import alpha_from_length
from .emission import Emission, decimal, one_line

WARNING = "for benchmarks only: accepted tokens are not checked, so the text means nothing"


def validate_acceptance_length(length: float, gamma: int) -> float:
    """Return tau, or raise ValueError outside [1, gamma + 1]; gamma: >= 1 [token]."""
    g = check_gamma(gamma)
    if not (math.isfinite(length) and 1.0 <= length <= g + 1.0):
        raise ValueError(
            f"acceptance_length must be in [1, gamma + 1 = {g + 1}], the bonus token counted, "
            f"got {length:g}"
        )
    return float(length)


def validate_rates(rates: Sequence[float], gamma: int) -> tuple[float, ...]:
    """Return survival by position, or raise ValueError unless it is gamma falling shares.

    rates: share of rounds in which the first k draft tokens are all accepted, k = 1..gamma, each in
    [0, 1], none above the one before it.
    """
    g = check_gamma(gamma)
    values = tuple(float(r) for r in rates)
    if len(values) != g:
        raise ValueError(f"rates must have one value a draft position, {g}, got {len(values)}")
    for k, rate in enumerate(values):
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rates must be in [0, 1], got {rate:g} at position {k + 1}")
        if k and rate > values[k - 1]:
            raise ValueError(
                f"rates must not rise with position, got {rate:g} at position {k + 1} after "
                f"{values[k - 1]:g}"
            )
    return values


def independent_rates_of(length: float, gamma: int) -> tuple[float, ...]:
    """Survival by position of independent acceptance with this acceptance length."""
    tau = validate_acceptance_length(length, gamma)
    return rates_of_alpha(float(alpha_from_length(tau, gamma)), gamma)


def rates_of_alpha(alpha: float, gamma: int) -> tuple[float, ...]:
    """Survival alpha^k at positions 1..gamma; alpha: in [0, 1]."""
    survival = DepthAcceptance(alpha).survival(check_gamma(gamma))[1:]
    return tuple(float(s) for s in survival)


def minimum_variance_rates(length: float, gamma: int) -> tuple[float, ...]:
    """Survival of the steadiest rounds with this length: the whole part always, one more at times.

    What vLLM and ATOM make of a length, and SGLang and TensorRT-LLM draw.
    """
    accepted = validate_acceptance_length(length, gamma) - 1.0
    return tuple(float(np.clip(accepted - k, 0.0, 1.0)) for k in range(gamma))


def synthetic_settings(
    engine: str,
    gamma: int,
    *,
    acceptance_length: float | None = None,
    rates: Sequence[float] | None = None,
    method: str | None = None,
    model: str | None = None,
) -> Emission:
    """The settings of one engine for a wanted acceptance.

    engine: one of `SYNTHETIC`; gamma: draft tokens of a round; acceptance_length (bonus token
    counted) or rates (survival by position), one of them. Where an engine takes no rates, their
    length is used and a note says so. method, model: copied into the configuration where it has
    a place for them. Raises ValueError outside the ranges, or where the engine has no such setting.
    """
    if engine not in SYNTHETIC:
        raise ValueError(f"engine must be one of {', '.join(SYNTHETIC)}, got {engine!r}")
    if (acceptance_length is None) == (rates is None):
        raise ValueError("give one of acceptance_length and rates")
    g = check_gamma(gamma)
    if rates is not None:
        share: tuple[float, ...] | None = validate_rates(rates, g)
        length = 1.0 + math.fsum(share or ())
    else:
        assert acceptance_length is not None
        share, length = None, validate_acceptance_length(acceptance_length, g)
    named = {k: v for k, v in (("method", method), ("model", model)) if v is not None}
    made = SYNTHETIC[engine](_Wanted(g, length, share, named))
    said = [WARNING]
    if share is not None and engine in _MEAN_ONLY:
        said.append(
            f"{_MEAN_ONLY[engine]} takes no rates by position: their acceptance length "
            f"{decimal(length)} is set"
        )
    return replace(made, notes=(*said, *made.notes))


class _Wanted(NamedTuple):
    """Draft tokens of a round, acceptance length, survival by position where it is stated, and
    the method and model of the draft where they are.
    """

    gamma: int
    length: float
    rates: tuple[float, ...] | None
    named: dict[str, str]

    @property
    def shown(self) -> list[float]:
        """The survival to six digits."""
        return [round(r, 6) for r in self.rates or ()]


# Engines that take a length alone.
_MEAN_ONLY = {"sglang": "SGLang", "tensorrt-llm": "TensorRT-LLM", "atom": "ATOM"}


def _vllm(wanted: _Wanted) -> Emission:
    """A length or falling rates, one of them (vllm/config/speculative.py, pull request 40662)."""
    config: dict[str, Any] = dict(wanted.named)
    config |= {"num_speculative_tokens": wanted.gamma, "rejection_sample_method": "synthetic"}
    if wanted.rates is None:
        config["synthetic_acceptance_length"] = float(decimal(wanted.length))
    else:
        config["synthetic_acceptance_rates"] = wanted.shown
    note = "add the method and model of your draft to the configuration"
    command = f"--speculative-config {shlex.quote(one_line(config))}"
    return Emission("vllm", command, config=config, notes=() if wanted.named else (note,))


def _sglang(wanted: _Wanted) -> Emission:
    environment = {
        "SGLANG_SIMULATE_ACC_LEN": decimal(wanted.length),
        "SGLANG_SIMULATE_ACC_METHOD": "match-expected",
        "SGLANG_SIMULATE_ACC_TOKEN_MODE": "real-draft-token",
    }
    command = (
        f"--speculative-num-steps {wanted.gamma} --speculative-eagle-topk 1 "
        f"--speculative-num-draft-tokens {wanted.gamma + 1}"
    )
    notes = ("one length is drawn for the whole batch in each round",)
    return Emission("sglang", command, environment, config=dict(environment), notes=notes)


def _tensorrt_llm(wanted: _Wanted) -> Emission:
    length = wanted.length
    if decimal(length - 1.0) == "0":
        raise ValueError(
            "acceptance_length must be above 1 for tensorrt-llm, which takes 0 accepted draft "
            f"tokens as no setting at all, got {length:g}"
        )
    environment = {"TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS": decimal(length - 1.0)}
    notes = ["the value is the accepted draft tokens: the acceptance length less the bonus"]
    if length != int(length):
        notes.append("fractions need the one-model path; the two-model path reads whole numbers")
    config: dict[str, Any] = {**environment, "max_draft_len": wanted.gamma}
    return Emission("tensorrt-llm", "", environment, config=config, notes=tuple(notes))


def _llama_cpp(wanted: _Wanted) -> Emission:
    command = f"--spec-draft-n-max {wanted.gamma} --spec-draft-p-min 0 "
    length = decimal(wanted.length)
    config: dict[str, Any] = {"n_max": wanted.gamma, "acceptance_length": float(length)}
    if wanted.rates is None:
        note = "llama.cpp spreads a length by one conditional rate, others by the least spread"
        command += f"--spec-synth-len {length}"
        return Emission("llama.cpp", command, config=config, notes=(note,))
    command += "--spec-synth-rates " + ",".join(decimal(r) for r in wanted.rates)
    return Emission("llama.cpp", command, config=config | {"rates": wanted.shown})


def _atom(wanted: _Wanted) -> Emission:
    length = decimal(wanted.length)
    command = f"--num-speculative-tokens {wanted.gamma} --spec-decode-acceptance-length {length}"
    for key, flag in (("model", "--draft-model"), ("method", "--method")):
        if key in wanted.named:
            command = f"{flag} {shlex.quote(wanted.named[key])} {command}"
    config: dict[str, Any] = {
        "num_speculative_tokens": wanted.gamma,
        "spec_decode_acceptance_length": float(length),
    }
    return Emission("atom", command, config=config)


SYNTHETIC: dict[str, Callable[[_Wanted], Emission]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "tensorrt-llm": _tensorrt_llm,
    "llama.cpp": _llama_cpp,
    "atom": _atom,
}
