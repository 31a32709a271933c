"""A lake with the traffic of a stage: champion, canary and shadow on the same days."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.release.look import Look
from flywheel.state.stages import Stage, StageKind
from flywheel.usecases.release_figures import look
from flywheel.workload.model import Workload
from tests.fakes.review_world import classification, put_corrections

__all__ = [
    "BEGAN",
    "CANDIDATE",
    "CHAMPION",
    "StageWorld",
    "canary_rows",
    "event",
    "stage_of",
]

BEGAN = datetime(2026, 5, 4, tzinfo=UTC)
CHAMPION, CANDIDATE = "r1", "r2"
Row = dict[str, Any]


def stage_of(kind: StageKind, *, share: float = 0.5, began_at: datetime = BEGAN) -> Stage:
    """Return a stage that is under way."""
    return Stage(
        id=7,
        workload_id="defects",
        release=CANDIDATE,
        champion=CHAMPION,
        number=1,
        kind=kind,
        share=share,
        began_at=began_at,
        ended_at=None,
        outcome=None,
        reason="",
    )


class StageWorld:
    """What a look needs of a platform, and what lands in its lake.

    Every event is a dictionary of columns of ``inferences``; ``change`` is called with it and may
    make it fail, slow or wrong.
    """

    def __init__(self, folder: Path, *, kind: StageKind = "canary", **release: Any) -> None:
        self.home = folder
        self.lake = Lake(folder / "lake")
        self.clock = ManualClock(BEGAN)
        self.workload: Workload = classification(release=release)
        self.stage = stage_of(kind)
        self._offset = 0

    def look(self, *, at: timedelta) -> Look:
        """Look at the stage so long after its start."""
        self.clock.move_to(BEGAN + at)
        return look(self, self.workload, self.stage)  # type: ignore[arg-type]

    def land(self, rows: list[Row]) -> None:
        """Put events into the lake as ingest would leave them."""
        for row in rows:
            row |= {"topic": "t", "topic_id": "t", "partition": 0, "offset": self._offset}
            row |= {"landed_at": row["timestamp"], "day": row["timestamp"].date()}
            self._offset += 1
        self.lake.append("inferences", pa.Table.from_pylist(rows, schema=_schema("inferences")))

    def canary_traffic(self, count: int, **how: Any) -> list[Row]:
        """Land requests of both arms, made by `canary_rows`, and return them."""
        rows = canary_rows(count, **how)
        self.land(rows)
        return rows

    def shadow_traffic(
        self,
        count: int,
        *,
        every: timedelta = timedelta(minutes=1),
        change: Callable[[Row, int], None] = lambda _row, _number: None,
    ) -> list[str]:
        """Land answers with their copies; return the ids that callers received."""
        rows, ids = [], []
        for number in range(count):
            own = event(BEGAN + number * every, f"own-{number}")
            copy = event(own["timestamp"] + timedelta(seconds=1), f"copy-{number}")
            copy |= {"route": "shadow", "release": CANDIDATE, "shadow_of": own["inference_id"]}
            change(copy, number)
            rows += [own, copy]
            ids.append(own["inference_id"])
        self.land(rows)
        return ids

    def judge(self, ids: list[str], truth: str) -> None:
        """Let people decide what the right answer was."""
        put_corrections(
            self.lake,
            self.workload,
            [
                {"inference_id": key, "input": "x", "output": truth, "event_time": BEGAN}
                for key in ids
            ],
        )

    def judge_control(self, rows: list[Row], truth: str) -> None:
        """Draw answers into the control slice and let people decide them."""
        items = [
            {
                "workload_id": row["workload_id"],
                "item_id": f"c-{row['inference_id']}",
                "inference_id": row["inference_id"],
                "slice": "control",
                "release": row["release"],
                "event_time": row["timestamp"],
                "chosen_at": row["timestamp"],
            }
            for row in rows
        ]
        self.lake.append(
            "review_items", pa.Table.from_pylist(items, schema=_schema("review_items"))
        )
        put_corrections(
            self.lake,
            self.workload,
            [
                {
                    "inference_id": row["inference_id"],
                    "input": row["input"],
                    "output": truth,
                    "original_output": json.loads(row["output"]),
                    "event_time": row["timestamp"],
                    "accepted_at": row["timestamp"] + timedelta(hours=1),
                }
                for row in rows
            ],
        )

    def say(self, rows: list[Row], *, value: bool, after: timedelta = timedelta(minutes=5)) -> None:
        """Let clients give boolean feedback."""
        said = [
            {
                "topic": "f",
                "topic_id": "f",
                "partition": 0,
                "offset": number,
                "landed_at": row["timestamp"] + after,
                "timestamp": row["timestamp"] + after,
                "day": row["timestamp"].date(),
                "feedback_id": f"f-{row['inference_id']}",
                "workload_id": row["workload_id"],
                "inference_id": row["inference_id"],
                "kind": "boolean",
                "value": json.dumps(value),
                "author": "plant",
            }
            for number, row in enumerate(rows)
        ]
        self.lake.append("feedback", pa.Table.from_pylist(said, schema=_schema("feedback")))

    def close(self) -> None:
        """Close the lake."""
        self.lake.close()


def event(moment: datetime, name: str) -> Row:
    """Return a good answer of the champion."""
    return {
        "inference_id": name,
        "timestamp": moment,
        "workload_id": "defects",
        "client_id": "plant",
        "route": "champion",
        "release": CHAMPION,
        "request": "{}",
        "response": "{}",
        "input": f"report {name}",
        "output": '"oil fault"',
        "confidence": 0.9,
        "latency_ms": 20.0,
        "error": None,
        "shadow_of": None,
        "subject_id": None,
    }


def canary_rows(
    count: int,
    *,
    start: timedelta = timedelta(0),
    every: timedelta = timedelta(seconds=20),
    share: float = 0.5,
    change: Callable[[Row, random.Random], None] = lambda _row, _rng: None,
    seed: int = 1,
) -> list[Row]:
    """Return requests of both arms, oldest first."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    rows = []
    for number in range(count):
        is_canary = rng.random() < share
        row = event(BEGAN + start + number * every, f"{seed}-{number}")
        row["latency_ms"] = rng.uniform(10, 100)
        if is_canary:
            row |= {"route": "canary", "release": CANDIDATE}
        change(row, rng)
        rows.append(row)
    return rows


def _schema(table: str) -> pa.Schema:
    return TABLES[table].schema
