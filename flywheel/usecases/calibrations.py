"""`calibrations_of`: how sure each release's answers really are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.quality.calibration import Calibration
    from flywheel.state import Release

__all__ = ["calibrations_of"]


def calibrations_of(releases: "Iterable[Release]") -> "dict[str, Calibration]":
    """Return the calibration of each release that has one, by its name."""
    from flywheel.quality.calibration import calibration_from_facts

    return {
        release.release: calibration_from_facts(release.calibration)
        for release in releases
        if release.calibration is not None
    }
