"""What is left out of a prior informs nothing of its predictions."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.calibrate.library.load import same_study, study_of
from howspec.calibrate.prior.acceptance import AcceptancePrior
from howspec.calibrate.prior.costs_fit import fit_without
from howspec.calibrate.prior.costs_posterior import stacks_without, stored_stacks
from howspec.calibrate.prior.head_curves import head_curves
from howspec.calibrate.prior.heads import expected_head


def test_a_study_is_known_by_its_paper_or_its_repository() -> None:
    assert same_study("arXiv:2211.17192v2, table 2", "2211.17192")
    assert same_study("github vllm-project/vllm-project.github.io@1", "vllm-project.github.io")
    assert not same_study("", "")
    assert not same_study("arXiv:2211.17192", "arXiv:2302.01318")


def test_acceptance_without_a_study_rests_on_the_others() -> None:
    whole = AcceptancePrior.load()
    assert whole.without("") is whole
    rest = whole.without("arXiv:2211.17192")
    gone = [c for c in whole.cells if same_study(c.source, "2211.17192")]
    assert gone
    assert len(rest.cells) == len(whole.cells) - len(gone)


def test_step_times_of_a_study_are_left_out_of_every_stack() -> None:
    assert stacks_without("nobody") is stored_stacks()
    study = "2302.01318"
    found, again = stacks_without(f"arXiv:{study}"), fit_without(study).stacks
    assert found["xla"].sources == stored_stacks()["xla"].sources - 1
    assert found["xla"].mean == pytest.approx(again["xla"].mean, abs=2e-3)


def test_heads_of_a_study_are_left_out() -> None:
    studied = {study_of(c.source) for c in head_curves() if c.kind == "EAGLE-3"}
    assert len(studied) > 2
    target = next(c for c in head_curves() if c.kind == "EAGLE-3")

    def alpha(unseen: str) -> float:
        rng = np.random.default_rng(1)
        known = expected_head("EAGLE-3", target.target, rng, task="math", unseen=unseen)
        return float(np.median(known.alpha))

    assert alpha("nobody") == alpha("")
    assert alpha(study_of(target.source)) != alpha("")
