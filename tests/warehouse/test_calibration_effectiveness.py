"""The short form of tests.benchmarks.calibration_effectiveness: few worlds, so wide limits; the long form has
200."""

import pytest

from tests.benchmarks.calibration_effectiveness import (
    coverage_of_effects,
    false_positives,
    informative_drop_out,
    shrunken_effects,
)

pytestmark = pytest.mark.unit

SEED, WORLDS = 20261121, 40


def test_adjusted_intervals_hold_the_truth_and_crude_ones_do_not():
    """Of 40 worlds with the planted confounding, at least 34 adjusted intervals hold it, and few crude
    ones."""
    for name, found in coverage_of_effects(SEED, WORLDS, 800).items():
        for method in ("iptw", "standardisation", "aipw"):
            if "unrecorded" in name:
                assert found[method]["share"] < 0.8
            else:
                assert found[method]["share"] >= 34 / 40
                assert abs(found[method]["mean_error"]) < 0.03
        assert found["crude"]["share"] < 0.5


def test_alike_protocols_are_seldom_called_different():
    """Of 40 worlds of four alike protocols, 6 at most see a difference once adjusted, many more without."""
    found = false_positives(SEED, WORLDS, 800)
    assert found["any of six pairs called different, Holm"]["share"] <= 6 / 40
    assert found["the same with Holm, unadjusted for the case mix"]["share"] > 0.3


def test_shrunken_effects_and_weights_hold_the_truth():
    """About 95 % of clinics' and operators' intervals hold their effect; completers flatter, weights do
    not."""
    found = shrunken_effects(SEED, 10)
    assert 0.9 < found["clinic"]["share"] < 0.99
    assert 0.93 < found["operator"]["share"] < 0.97
    left = informative_drop_out(SEED, WORLDS)
    assert left["all weighted"]["share"] >= 34 / 40
    assert left["completers"]["share"] < 0.5
