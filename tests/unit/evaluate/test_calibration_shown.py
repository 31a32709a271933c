"""Calibration error as a table shows it."""

import re

import pytest

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.evaluate.render import _calibration


@pytest.mark.parametrize("value", [-0.03, 0.02])
def test_the_value_lies_within_its_interval(value):
    """An estimate below 0, by chance, is shown at the edge of its interval."""
    arm = ArmMetrics(
        suite="golden",
        arm="champion",
        release="base",
        cases=30,
        exact_match=0.9,
        macro_f1=None,
        schema_validity=1.0,
        calibration_error=value,
        calibration_interval=(0.0, 0.07),
        seconds_p50=None,
        seconds_p95=None,
        labels={},
        fields={},
    )
    shown, lower, upper = map(float, re.findall(r"-?[\d.]+", _calibration(arm)))
    assert lower <= shown <= upper
