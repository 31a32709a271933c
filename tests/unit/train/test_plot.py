"""The picture of a training's loss."""

import pytest

from flywheel.errors import MeasurementError
from flywheel.ports.train_launcher import TrainProgress
from flywheel.train.plot import plot_loss


def point(step, stage="sft"):
    return TrainProgress(
        step=step, steps=9, epoch=1.0, loss=1 / step, tokens_per_second=9, seconds=1, stage=stage
    )


@pytest.mark.parametrize("stages", [["sft"], ["sft", "preference"]])
def test_it_is_a_small_png(stages):
    """Dagster shows a picture below 100 kB inside Markdown."""
    picture = plot_loss([point(step, stage) for stage in stages for step in range(1, 5)])

    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 100_000


def test_no_point_is_an_error():
    """An empty picture would look like a training."""
    with pytest.raises(MeasurementError):
        plot_loss([])
