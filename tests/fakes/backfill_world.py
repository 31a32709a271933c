"""A workload with calls of some days in its lake, and a release that answers them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from flywheel.basemodel import HomeBases
from flywheel.ports.bulk_work import PartName, TextPart
from flywheel.serve.local_server import LocalModelServer
from flywheel.usecases.backfill.in_process import InProcessExecutor
from flywheel.usecases.backfill.run import BackfillReport, Days, backfill_answers
from flywheel.usecases.backfill.work import answer_work
from tests.fakes import micro_base
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.review_world import put_answers
from tests.fakes.small_deployment import build_base
from tests.fakes.swaps import recorded, untrained_adapter
from tests.fakes.workload_file import put_workload

__all__ = ["FIRST", "LAST", "RELEASE", "BackfillWorld", "MicroBackfillWorld"]

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 4)
RELEASE = "r1"
_PER_DAY = 10
Answered = tuple[str, str | None, float | None, str | None]


class BackfillWorld(ReleaseWorld):
    """Ten calls on each of three days; the release `r1` is trained and not promoted."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, MemoryRegistry(home))
        self.asked: list[str] = []
        self.broken: dict[str, Exception | None] = {}
        self._offset = 0
        self.prepare()
        put_workload(home / "workloads", self.workload)
        self.deployment = self.platform()
        self.call(range(3 * _PER_DAY))

    def prepare(self) -> None:
        """Make base and release."""
        self.base = build_base(self.root, self)
        self.train(self.open_cycle(), RELEASE)
        self.server.replies[RELEASE] = self.reply

    def reply(self, text: str) -> Any:
        """Answer the last word of a text, and remember that it was asked."""
        self.asked.append(text)
        if text in self.broken:
            return self.broken[text]
        return text.rsplit(maxsplit=1)[-1]

    def call(self, numbers: Sequence[int], **changes: Any) -> None:
        """Land calls, ten a day."""
        start = datetime.combine(FIRST, datetime.min.time(), UTC)
        rows = [
            {
                "inference_id": f"i{number:05d}",
                "timestamp": start + timedelta(days=number // _PER_DAY, minutes=number),
                "input": f"report {number} dent",
                "output": "scratch",
                "subject_id": f"s{number % 4}",
            }
            | changes
            for number in numbers
        ]
        put_answers(self.lake, self.workload, rows, offset=self._offset)
        self._offset += len(rows)

    def backfill(self, first: date = FIRST, last: date = LAST, **options: Any) -> BackfillReport:
        """Answer the calls of some days, four or so at once."""
        release = options.pop("release", RELEASE)
        options = {"part_rows": 4} | options
        texts = options.pop("texts", Days(first, last))
        return backfill_answers(self.deployment, self.workload, release, texts, **options)

    def ids(self, table: str = "backfill_answers") -> list[str]:
        """Return the ids in a table, in order."""
        rows = self.lake.rows(f"SELECT inference_id FROM stored.{table} ORDER BY 1")
        return [row["inference_id"] for row in rows]


class MicroBackfillWorld(BackfillWorld):
    """The same with real weights, of the smallest useful size."""

    def prepare(self) -> None:
        """Record an adapter of the micro base."""
        self.workload = micro_base.classification()
        built = micro_base.micro_base(self.workload)
        self.base = HomeBases(self.root, self.root / "cache").remember(self.workload, built)
        adapter = untrained_adapter(self.root / "untrained", self.base, seed=1)
        self.adapter = recorded(self.state, self.workload, RELEASE, self.root / "runs", adapter)
        self.server = LocalModelServer(self.base.folder)

    def answers(self) -> list[Answered]:
        """Return id, answer, confidence (three digits) and error of every row."""
        return _answered(self.lake.query("SELECT * FROM backfill_answers"))

    def answers_here(self) -> list[Answered]:
        """Return what this process answers to the same texts; nothing lands."""
        work = answer_work(self.deployment, self.workload, RELEASE)
        texts = self.lake.query(
            "SELECT inference_id, subject_id, timestamp AS event_time, input FROM inferences"
        )
        results: list[pa.Table] = []
        InProcessExecutor(self.deployment).run(
            work,
            [TextPart(PartName(FIRST, 1, 1), texts)],
            on_result=lambda _, rows: results.append(rows),
            on_notice=lambda _: None,
        )
        return _answered(pa.concat_tables(results))


def _answered(rows: pa.Table) -> list[Answered]:
    return sorted(
        (
            row["inference_id"],
            row["output"],
            None if row["confidence"] is None else round(row["confidence"], 3),
            row["error"],
        )
        for row in rows.to_pylist()
    )
