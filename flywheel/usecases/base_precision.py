"""`measure_precisions`: accuracy, size and speed of a workload's base at 32, 16, 8 and 4 bits.

The base is loaded once per precision beside the server that answers, and judged on the golden set
with the champion's adapter, or another release's.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.settings.comma_list import comma_list
from flywheel.usecases.asking import named_release
from flywheel.usecases.datasets import newest_dataset

if TYPE_CHECKING:
    from flywheel.artifacts.dataset_rows import LabeledRow
    from flywheel.artifacts.precision import ServedPrecision
    from flywheel.evaluate.suites import CaseResult
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["PrecisionFigures", "PrecisionStudy", "measure_precisions", "read_precisions"]


@dataclass(frozen=True)
class PrecisionFigures:
    """One precision; ``gained`` and ``lost`` count cases against the precision that is served.

    ``problem`` says why it was not measured; the figures are None then.
    """

    precision: str
    is_served: bool
    bytes: int | None = None
    right: int | None = None
    gained: int | None = None
    lost: int | None = None
    field_f1: float | None = None
    seconds: float | None = None
    answers_per_second: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class PrecisionStudy:
    """The figures of every precision on the same golden cases, the served one first."""

    workload_id: str
    release: str
    snapshot: str
    cases: int
    figures: tuple[PrecisionFigures, ...] = field(default=())


def measure_precisions(
    platform: "Platform",
    workload: "Workload",
    *,
    precisions: "Sequence[ServedPrecision] | None" = None,
    release: str | None = None,
    cases: int | None = None,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> PrecisionStudy:
    """Measure precisions on the golden set; one that this machine cannot load stops no other.

    Args:
        platform: holds base, releases and snapshots.
        workload: whose base it is.
        precisions: what is measured beside the served one; None: all.
        release: whose adapter answers; None: the champion.
        cases: how many golden cases, from the first; None: all.
        on_progress: told what goes on, how many cases are done, of how many; 0: not known.

    Raises:
        NotFoundError: there is no such release, or no golden set yet.
        IntegrityError: base, adapter or snapshot was changed.
    """
    from flywheel.artifacts.precision import PRECISIONS
    from flywheel.artifacts.snapshot import read_rows
    from flywheel.ports.model_server import BASE_RELEASE
    from flywheel.release.adapter_files import checked_adapter

    name = release or platform.state.routes.champion(workload.id)
    adapter = None
    if name != BASE_RELEASE:
        adapter = checked_adapter(named_release(platform, workload, name))
    folder = _newest_snapshot(platform, workload)
    rows = read_rows(folder, "golden")[:cases]
    if not rows:
        raise NotFoundError(
            f"The golden set of {workload.id} has no cases.",
            next_step="import labeled examples, then `flywheel cycle open`",
        )
    served = platform.served_precision(workload)
    chosen = PRECISIONS if precisions is None else precisions
    figures: list[PrecisionFigures] = []
    reference: dict[str, bool] = {}
    for precision in (served, *(one for one in chosen if one != served)):
        on_progress(f"{precision}, loading the base model", 0, 0)
        tell = partial(on_progress, f"{precision}, golden cases")
        try:
            result = _measure(platform, workload, precision, name, adapter, rows, tell)
        except ConfigurationError as error:
            if precision == served:
                raise
            figures.append(PrecisionFigures(precision, is_served=False, problem=error.message))
            continue
        if precision == served:
            reference = {case.inference_id: case.correct for case in result.cases}
        figures.append(_figures(precision, result, reference, is_served=precision == served))
    return PrecisionStudy(workload.id, name, folder.name, len(rows), tuple(figures))


@dataclass(frozen=True)
class _Measured:
    cases: "Sequence[CaseResult]"
    bytes: int
    seconds: float


def _measure(
    platform: "Platform",
    workload: "Workload",
    precision: "ServedPrecision",
    release: str,
    adapter: Path | None,
    rows: "Sequence[LabeledRow]",
    on_progress: Callable[[int, int], None],
) -> _Measured:
    from flywheel.evaluate.suites import evaluate_arm
    from flywheel.serve.local_server import LocalModelServer
    from flywheel.usecases.cycle import codec_of

    server = LocalModelServer(platform.base(workload).folder, precision=precision)
    size = server.weight_bytes
    if adapter is not None:
        server.load(release, adapter)
    codec = codec_of(platform, workload)
    on_progress(0, len(rows))
    server.answer(release, codec, [str(rows[0]["input"])])  # the first answer is slow
    started = time.perf_counter()
    cases = evaluate_arm(
        server,
        codec,
        rows,
        suite="golden",
        arm="candidate",
        release=release,
        on_progress=on_progress,
    )
    return _Measured(cases, size, time.perf_counter() - started)


def _figures(
    precision: str, measured: _Measured, reference: dict[str, bool], *, is_served: bool
) -> PrecisionFigures:
    from flywheel.evaluate.field_scores import average_fields, score_fields

    cases = measured.cases
    averages = average_fields(score_fields(case.field_counts for case in cases))
    return PrecisionFigures(
        precision=precision,
        is_served=is_served,
        bytes=measured.bytes,
        right=sum(case.correct for case in cases),
        gained=sum(case.correct and not reference[case.inference_id] for case in cases),
        lost=sum(reference[case.inference_id] and not case.correct for case in cases),
        field_f1=None if averages is None else averages.micro.f1,
        seconds=measured.seconds,
        answers_per_second=len(cases) / measured.seconds,
    )


def _newest_snapshot(platform: "Platform", workload: "Workload") -> Path:
    from flywheel.artifacts.snapshot import verify_snapshot

    newest = newest_dataset(platform, workload.id)
    if newest is None:
        raise NotFoundError(
            f"{workload.id} has no dataset, and so no golden set.",
            next_step=f"run `flywheel cycle open {workload.id}` and `flywheel cycle run {workload.id}`",
        )
    return verify_snapshot(newest[1].folder).folder


def read_precisions(text: str) -> "tuple[ServedPrecision, ...]":
    """Read a list of precisions, separated by commas.

    Raises:
        ConfigurationError: one is not known.
    """
    from flywheel.artifacts.precision import PRECISIONS

    names = comma_list(text)
    unknown = [name for name in names if name not in PRECISIONS]
    if unknown or not names:
        raise ConfigurationError(
            f"{unknown[0] if unknown else text!r} is not a precision.",
            next_step=f"use {', '.join(PRECISIONS)}",
        )
    return tuple(one for one in PRECISIONS if one in names)
