r"""The least time that a pass can take on a machine: what it must move, and what it must compute.

    floor = max( (W + E + L + B (S + n) kv) / BW,  B n (phi + (S + (n + 1) / 2) phi_a) / F )

for n new tokens of each of B sequences behind S cached ones. W: the weights as they are stored; an
output matrix that is also the embedding counts once. E: the rows that are looked up in an embedding
that is not the output matrix, and of learned positions. L: the logits that the pass leaves. BW is
what a large copy reached on the machine, read and written bytes together, F its peak rate.

Wrong when: weights stay in a cache between passes (then bytes over bandwidth is no floor), or a
stream that only reads is faster than a copy (a CPU may also read what a copy overwrites).
Source: derived here by counting; the terms are those of `theory.costs.roofline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..calibrate.models import ModelShape, find_model, number_format
from ..calibrate.models.config import shape_of
from ..calibrate.records import Record
from ..theory.costs import compute_time

# Keys of a configuration of transformers, by which it is told from a mere identity.
_CONFIGURED = ("num_hidden_layers", "n_layer")
# A shape whose parameters differ by more from those that were counted is of another model.
_SAME = 0.02


@dataclass(frozen=True)
class TimedModel:
    """A model of a cost record.

    parameters: each counted once; shape: None where neither the record nor a table knows it, and
    then nothing is said of its floor; dtype: format of weights and cache.
    """

    name: str
    parameters: int
    layers: int
    kind: str
    dtype: str
    shape: ModelShape | None

    def pass_bytes(self, tokens: int, *, batch: int, context: int) -> float | None:
        """Bytes that a pass over ``tokens`` new tokens of every sequence must move."""
        if self.shape is None:
            return None
        cached = self._cached_bytes(tokens, context)
        return self._fixed_bytes(tokens * batch, tokens) + batch * cached

    def compute_s(
        self, tokens: int, *, batch: int, context: int, rate: float | None
    ) -> float | None:
        """Time to compute a pass at a rate [op/s]; None where one of them is unknown."""
        if self.shape is None or rate is None:
            return None
        seen = float(self.shape.cached_tokens(context)) + 0.5 * (tokens + 1)
        seconds = compute_time(
            tokens, batch, context=seen, token_ops=self.shape.token_ops(),
            attention_ops=self.shape.attention_ops(), compute_rate=rate,
        )  # fmt: skip
        return float(seconds)

    def _fixed_bytes(self, tokens: int, positions: int) -> float:
        """Weights, rows looked up and logits of a pass over so many tokens of all sequences."""
        s = self.shape
        assert s is not None
        number = number_format(self.dtype).bytes
        rows = positions * s.hidden if s.positions else 0
        if not s.tied:
            rows += tokens * (s.embedding_width or s.hidden)
        return float(s.pass_bytes(tokens, self.dtype)) + number * (rows + tokens * s.vocab)

    def _cached_bytes(self, tokens: int, context: int) -> float:
        """Cache of one sequence that a pass reads, and what it adds to it."""
        assert self.shape is not None
        new = tokens * self.shape.kv_bytes_per_token(self.dtype)
        return float(self.shape.cache_bytes(context, self.dtype)) + new


def timed_models(record: Record, family: Mapping[str, Any] | None = None) -> dict[str, TimedModel]:
    """The models whose passes a record holds, by name, in its order.

    family: of a trained ladder, which knows the widths of its models. Raises ValueError for another
    kind of record, and for a model whose layers nothing says.
    """
    if record.kind != "costs":
        raise ValueError(f"record must be of kind costs, got {record.kind}")
    identities = record.provenance.get("models")
    known = identities if isinstance(identities, Mapping) else {}
    dtype = str(record.provenance.get("dtype") or record.settings.get("dtype") or "")
    names = dict.fromkeys(str(p["model"]) for p in record.points if p["operation"] == "pass")
    if not names:
        raise ValueError("record must hold at least one pass, got none")
    return {name: _timed(name, known.get(name), family, dtype) for name in names}


def _timed(name: str, identity: Any, family: Mapping[str, Any] | None, dtype: str) -> TimedModel:
    own = identity if isinstance(identity, Mapping) else {}
    shape = _shape(name, own, family)
    counted = own.get("parameters")
    if shape is not None and isinstance(counted, int):
        same = abs(shape.parameters() - counted) <= _SAME * counted
        shape = shape if same else None
    layers = shape.layers if shape is not None else own.get("layers")
    parameters = counted if isinstance(counted, int) else shape and shape.parameters()
    if not isinstance(layers, int) or not isinstance(parameters, int):
        raise ValueError(
            f"{name}: the record must say its parameters and layers, or its configuration"
        )
    form = number_format(str(own.get("dtype") or dtype or (shape.weights if shape else "")))
    kind = str(own.get("model_type") or (shape.family if shape else ""))
    return TimedModel(name, parameters, layers, kind, form.name, shape)


def _shape(
    name: str, identity: Mapping[str, Any], family: Mapping[str, Any] | None
) -> ModelShape | None:
    """From the record's configuration, else the family of the ladder, else the table of models.

    A configuration of a kind that is not known here leaves the model without a shape.
    """
    config = identity.get("config")
    if not isinstance(config, Mapping) and any(key in identity for key in _CONFIGURED):
        config = identity
    if isinstance(config, Mapping):
        try:
            return shape_of(config, name=name)
        except ValueError:
            return None
    trained = {m["name"]: m for m in family["models"]} if family is not None else {}
    if family is not None and "hidden" in trained.get(name, {}):
        return shape_of(_llama(trained[name], family.get("settings", {})), name=name)
    entry = find_model(name)
    return entry.shape if entry is not None else None


def _llama(model: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a model of a trained family: Llama-style, the embedding tied.

    Raises ValueError for a family that lacks a width.
    """
    try:
        return {
            "model_type": "llama",
            "vocab_size": settings["vocabulary"],
            "hidden_size": model["hidden"],
            "num_hidden_layers": model["layers"],
            "num_attention_heads": model["heads"],
            "num_key_value_heads": model["heads"],
            "intermediate_size": model["feed_forward"],
            "max_position_embeddings": settings["context_tokens"],
            "tie_word_embeddings": True,
        }
    except KeyError as error:
        raise ValueError(f"{model['name']}: the family must say its {error}") from None
