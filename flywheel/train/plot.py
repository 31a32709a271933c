"""`plot_loss`: a small picture of a training's loss for Dagster's metadata."""

import io
from collections.abc import Sequence
from typing import Any

from flywheel.errors import MeasurementError
from flywheel.ports.train_launcher import TrainProgress

__all__ = ["plot_loss"]


def plot_loss(points: Sequence[TrainProgress]) -> bytes:
    """Draw the loss over steps, each stage on axes of its own: their losses are not one measure.

    Returns:
        A PNG below 100 kB, as Dagster shows it inside Markdown.

    Raises:
        MeasurementError: there is no point to draw.
    """
    if not points:
        raise MeasurementError("The training reported no loss.", next_step="train again")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    stages: dict[str, list[TrainProgress]] = {}
    for point in points:
        stages.setdefault(point.stage, []).append(point)
    figure = Figure(figsize=(4.8 * len(stages), 3.0), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(1, len(stages), squeeze=False)[0]
    for axes, (stage, of_stage) in zip(panels, stages.items(), strict=True):
        axes.plot([p.step for p in of_stage], [p.loss for p in of_stage], linewidth=1.4)
        axes.set_title(f"{stage}: loss by step, last {of_stage[-1].loss:.4f}", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_ylim(bottom=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
