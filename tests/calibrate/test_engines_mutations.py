"""What is changed on its way is read right or refused in one line, never answered with zeros."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from engine_mutations import HARMLESS, Mutation, damage
from engine_samples import SAMPLES
from engine_texts import consistent
from howspec.calibrate.engines import EngineCounts, import_counts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SLOW = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
_MUTATIONS = 100


def answer(path: Path) -> tuple[EngineCounts | None, str]:
    """The counts, or None with the message of the refusal."""
    try:
        return import_counts(str(path)), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize("change", HARMLESS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", SAMPLES)
def test_line_ends_encodings_and_wrappers_change_nothing(
    name: str, change: Mutation, tmp_path: Path
) -> None:
    text = SAMPLES[name][0].encode()
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "changed").write_bytes(change(text))
    expected, found = (import_counts(str(tmp_path / n)) for n in ("plain", "changed"))
    assert found == expected


@pytest.mark.parametrize("name", SAMPLES)
def test_damage_gives_a_clear_error_or_a_consistent_answer(name: str, tmp_path: Path) -> None:
    """The same 100 mutations in every run; benchmarks/import_mutations.py makes 10,000."""
    path, text, read = tmp_path / "damaged", SAMPLES[name][0].encode(), 0
    for seed in range(_MUTATIONS):
        path.write_bytes(damage(text, random.Random(f"{name} {seed}")))
        found, reason = answer(path)
        if found is None:
            assert reason.strip(), seed
            assert "\n" not in reason, seed
        else:
            consistent(found)
            read += 1
    assert 0 < read < _MUTATIONS


@settings(max_examples=100, suppress_health_check=_SLOW)
@given(noise=st.binary(max_size=300))
def test_noise_is_refused(noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(noise)
    with pytest.raises(ValueError, match=r"noise") as caught:
        import_counts(str(tmp_path / "noise"))
    assert "\n" not in str(caught.value)
