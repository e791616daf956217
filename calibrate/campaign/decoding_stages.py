"""The stages that decode with the family: acceptance of every draft, and the sweep of latency."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..family.record import family_domains
from .estimate import (
    REQUEST_BYTES,
    TURN_BYTES,
    Estimate,
    Size,
    decode_s,
    family_sizes,
    model_bytes,
    pass_s,
)
from .family_stage import load_family
from .presets import Campaign, Decoding
from .stage import RecordStage, Work

if TYPE_CHECKING:
    from ..measure.ladders import Ladder
    from ..records import Journal

# Domains of the default texts: code, and with a folder of texts three more.
DOMAINS = 4
# Tokens of a round that the slowest row of a batch is expected to emit.
BATCH_TOKENS = 1.6


class DecodingStage(RecordStage):
    """A stage that measures the family on prompts of its own domains."""

    of_family = True
    counted: str  # what the record's settings call the number of prompts of a domain

    @property
    def decoding(self) -> Decoding[Any]:
        """The campaign's plan for the stage, and the prompts."""
        found: Decoding[Any] = getattr(self.campaign, self.name)
        return found

    @property
    def plan(self) -> Any:
        """The plan with what holds for all of the campaign."""
        return replace(self.decoding.plan, seed=self.campaign.seed, graphs=self.campaign.graphs)

    def settings(self, family: Mapping[str, Any]) -> dict[str, Any]:
        prompts = {
            "source": "held-out text of the family",
            "domains": list(family_domains(family)),
            "tokens": self.decoding.tokens,
        }
        settings = {"campaign": self.campaign.name, **self.plan.settings(), "prompts": prompts}
        return {**settings, self.counted: self.decoding.prompts}

    def load(self, work: Work) -> tuple[Any, dict[str, Any]]:
        ladder = load_family(work.family, self.campaign)
        return ladder, ladder.identities

    def measure(self, work: Work, journal: Journal, ladder: Ladder) -> bool:
        """Measure by the plan, on prompts from text that no model was trained on."""
        from ..measure.prompts import family_prompts

        return self.measurement()(
            ladder.target.model,
            ladder.plain,
            journal,
            prompts=family_prompts(
                work.family,
                ladder.target.tokenizer,
                count=self.decoding.prompts,
                tokens=self.decoding.tokens,
            ),
            plan=self.plan,
            seconds_left=work.seconds_left,
            progress=work.report,
        )

    @abstractmethod
    def measurement(self) -> Callable[..., bool]:
        """What measures, imported with torch."""


class Acceptance(DecodingStage):
    """Rounds and overlaps of every draft of the family."""

    name, kind, counted = "acceptance", "acceptance", "requests"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        wanted = _listed(campaign.acceptance.plan.temperatures)
        self.what = f"rounds and overlaps of every draft at temperatures {wanted}"

    def estimate(self) -> Estimate:
        """The target's texts, rounds of every draft and the overlaps along the texts."""
        machine, asked = self.campaign.machine, self.campaign.acceptance
        wanted = asked.plan
        target, *drafts = family_sizes(self.campaign.family)
        groups = DOMAINS * len(wanted.temperatures) * -(-asked.prompts // wanted.batch)
        requests = DOMAINS * len(wanted.temperatures) * asked.prompts
        length = asked.tokens + wanted.new_tokens
        how: dict[str, Any] = {"new_tokens": wanted.new_tokens, "batch": wanted.batch}
        how["graphs"] = self.campaign.graphs
        texts_s = groups * decode_s(machine, target, None, gamma=0, **how)
        written = requests * wanted.new_tokens * REQUEST_BYTES
        total = Estimate(texts_s + machine.start_s, 0.0, requests, written)
        for draft in drafts:
            # The slowest row of a batch decides, so a round is worth little more than a token.
            rounds_s = groups * decode_s(
                machine, target, draft, gamma=wanted.gamma, tokens_per_round=BATCH_TOKENS, **how
            )
            overlap_s = requests * pass_s(machine, draft, tokens=length)
            memory = sum(
                model_bytes(machine, m, batch=wanted.batch, context=length) for m in (target, draft)
            )
            time_s = rounds_s + overlap_s + machine.start_s
            total += Estimate(time_s, memory, 2 * requests, 2.0 * written)
        return total

    def measurement(self) -> Callable[..., bool]:
        from ..measure.acceptance import measure_acceptance

        return measure_acceptance


class Sweep(DecodingStage):
    """End-to-end latency of every draft, number of draft tokens, method and batch."""

    name, kind, counted = "sweep", "sweep", "prompts_of_a_domain"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        wanted = campaign.sweep.plan
        most, batches = max(wanted.gammas), _listed(wanted.batches)
        self.what = f"latency of every draft, 0 to {most} draft tokens, batch {batches}"

    def estimate(self) -> Estimate:
        """End-to-end decoding of every draft, gamma, method and batch."""
        wanted = self.campaign.sweep.plan
        target, *drafts = family_sizes(self.campaign.family)
        total = Estimate(len(drafts) * self.campaign.machine.start_s)
        for batch in wanted.batches:
            blocks = max(DOMAINS * self.campaign.sweep.prompts // batch, 1)
            total += self._turn(target, None, 0, batch) * (blocks * wanted.plain_repeats)
            for draft in drafts:
                for gamma in wanted.gammas:
                    total += self._turn(target, draft, gamma, batch) * blocks
                if batch == 1:
                    # One more for the heuristic schedule, about as long as at 5 draft tokens.
                    for gamma in (*wanted.assisted_gammas, 5):
                        one = self._turn(target, draft, gamma, batch, assisted=True)
                        total += one * wanted.assisted_blocks
        return total

    def _turn(
        self, target: Size, draft: Size | None, gamma: int, batch: int, *, assisted: bool = False
    ) -> Estimate:
        """One generation; assisted: by the generate of transformers, without graphs."""
        machine, wanted = self.campaign.machine, self.campaign.sweep.plan
        length = self.campaign.sweep.tokens + wanted.new_tokens
        time_s = decode_s(
            machine,
            target,
            draft,
            new_tokens=wanted.new_tokens,
            gamma=gamma,
            batch=batch,
            tokens_per_round=2.0 if batch == 1 else BATCH_TOKENS,
            graphs=self.campaign.graphs and not assisted,
        )
        models = [target] if draft is None else [target, draft]
        memory = sum(model_bytes(machine, m, batch=batch, context=length) for m in models)
        return Estimate(time_s, memory, 1, batch * wanted.new_tokens * TURN_BYTES)

    def measurement(self) -> Callable[..., bool]:
        from ..measure.sweep import measure_sweep

        return measure_sweep


def _listed(values: tuple[float, ...] | tuple[int, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
