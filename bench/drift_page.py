"""The drift report that a person opens, on its sample, beside Evidently's on all rows: processor seconds."""

import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from bench.drift import fill
from bench.ratio import Ratio
from flywheel.drift.evidently_report import SAMPLE_ROWS, write_evidently_report
from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_WORKLOAD = Path(__file__).parent.parent / "deploy" / "workloads" / "defect_reports.yaml"
_START = date(2026, 5, 4)
_DAYS = 7
_ROWS = 1_000_000
_AIM = 0.3


def measure() -> list[Ratio]:
    """Write both pages once; the imports are paid for before."""
    workload = load_workload(_WORKLOAD)
    first = Window(_START, _START + timedelta(days=_DAYS))
    second = Window(first.end, first.end + timedelta(days=_DAYS))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        fill(lake, workload, [*first.days, *second.days], 2 * _ROWS)
        page = Path(folder) / "page.html"
        taken = {}
        for rows in (10, SAMPLE_ROWS, 2 * _ROWS):
            started = time.process_time()
            write_evidently_report(
                lake, workload, reference=first, current=second, path=page, rows=rows
            )
            taken[rows] = time.process_time() - started
        lake.close()
    ours, everything = taken[SAMPLE_ROWS], taken[2 * _ROWS]
    name = f"drift page on {SAMPLE_ROWS:,} + {SAMPLE_ROWS:,} rows / on all {_ROWS:,} + {_ROWS:,}"
    met = ours <= _AIM * everything
    return [Ratio(name, ours, everything, "s CPU", f"at most {_AIM}", met)]
