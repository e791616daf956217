"""Series of one engine as they stand in Prometheus text: counters with restarts, and gauges."""

from __future__ import annotations

from dataclasses import dataclass, field

from .prometheus_gauges import Labels

Key = tuple[str, Labels]


@dataclass
class Scrape:
    """Series of one engine: counters and gauges by name and labels.

    gammas: draft lengths of configuration series; repeated, fallen: series that stand more than
    once, and counters among them that fell, which are added up.
    """

    counters: dict[Key, int] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    gammas: set[int] = field(default_factory=set)
    repeated: int = 0
    fallen: dict[Key, int] = field(default_factory=dict)

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

    def keep_gauge(self, key: Key, value: float) -> None:
        """Take a gauge; of several values the last."""
        self.repeated += key in self.gauges
        self.gauges[key] = value

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

        def keep(key: Key) -> bool:
            return any(k in ("model_name", "model") and v == model for k, v in key[1])

        return Scrape(
            {k: v for k, v in self.counters.items() if keep(k)},
            {k: v for k, v in self.gauges.items() if keep(k)},
            self.gammas,
            self.repeated,
            {k: v for k, v in self.fallen.items() if keep(k)},
        )
