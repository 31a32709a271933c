"""`publish_training` and `bring_recorded_training`: one training of an attempt for all machines.

A machine that lost its lease may have trained an attempt that another one trained as well: the
training that the state recorded is the one that counts.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import IntegrityError

if TYPE_CHECKING:
    from flywheel.ports.train_launcher import TrainResult
    from flywheel.state import Release
    from flywheel.wiring import Platform

__all__ = ["bring_recorded_training", "publish_training"]


def publish_training(platform: "Platform", result: "TrainResult", out: Path) -> None:
    """Publish adapter, progress and result, unless another training of the attempt was recorded.

    The result comes last: a machine that repeats this step and finds it finds all of it.
    """
    if not platform.artifacts.are_published:
        return
    recorded = _recorded(platform, result.release)
    if recorded is not None and recorded.manifest_digest != result.manifest_digest:
        return  # another machine was first, and what it published stays; recording refuses this one
    for name in _files():
        if (out / name).exists():
            platform.artifacts.publish(out / name)


def bring_recorded_training(platform: "Platform", release: str, out: Path) -> None:
    """Replace a training of this home that is not the recorded one by what is published.

    So a step that is repeated goes on with the release that the state names. Nothing happens where
    the home holds the recorded training, none was recorded, or artifacts are not published.

    Args:
        platform: the deployment.
        release: name of the release that is to be trained.
        out: the trainer's output folder.
    """
    if not platform.artifacts.are_published:
        return
    recorded = _recorded(platform, release)
    if recorded is not None and not _holds(out, recorded.manifest_digest):
        for name in _files():
            bring_here(out / name, again=True)


def _recorded(platform: "Platform", release: str) -> "Release | None":
    releases = platform.state.releases.of(release.partition(".")[0])
    return next((one for one in releases if one.release == release), None)


def _files() -> tuple[str, ...]:
    from flywheel.train.export import ADAPTER, RESULT
    from flywheel.train.reporting import PROGRESS

    return (ADAPTER, PROGRESS, RESULT)


def _holds(out: Path, digest: str) -> bool:
    from flywheel.ports.train_launcher import TrainResult
    from flywheel.train.export import RESULT

    try:
        result = TrainResult.model_validate_json((out / RESULT).read_bytes())
        digests = {result.manifest_digest, verify_adapter(out / result.adapter)}
    except (OSError, ValueError, IntegrityError):
        return False  # it is missing or damaged
    return digests == {digest}
