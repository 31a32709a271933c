"""Days of traffic and of judgments, written into a lake in the shape that landing leaves them in."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import Pull, QueueStatus, ReviewItem, ReviewQueue
from flywheel.simulation.traffic import SimulatedCall, generate
from flywheel.workload.answers import canonical_json
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["FIRST_DAY", "NO_QUEUE", "HistoryDays"]

FIRST_DAY = date(2026, 3, 2)
_TEXTS = 5_000
_JUDGED = 60
_CONTROL = 12
_ROWS_AT_ONCE = 1_000_000
_REPEATED = 0.001
_PEOPLE = ("ana", "ben", "chris", "dora")


class _NoQueue:
    # Judgments are written into the lake: what a queue costs is not measured here.
    name = "none"

    def push(self, workload: Workload, items: Sequence[ReviewItem]) -> int:  # noqa: ARG002
        return 0

    def pull(self, workload: Workload, cursor: str | None) -> Pull:  # noqa: ARG002
        return Pull([], cursor or "0")

    def status(self, workload: Workload) -> QueueStatus:  # noqa: ARG002
        return QueueStatus(0, 0, 0, 0)

    def erase(
        self,
        workload: Workload,  # noqa: ARG002
        inference_ids: Collection[str],  # noqa: ARG002
        texts: Collection[str],  # noqa: ARG002
    ) -> int:
        return 0


NO_QUEUE: ReviewQueue = _NoQueue()


@dataclass
class HistoryDays:
    """Write one day after another; same seed, same days.

    Of a thousand events one was sent twice, half of them on another day than the first time.
    """

    lake: Lake
    workload: Workload
    events: int

    def __post_init__(self) -> None:
        moment = datetime(2026, 3, 1, tzinfo=UTC)
        end = moment + timedelta(days=1)
        self._calls: list[SimulatedCall] = generate(
            self.workload, start=moment, end=end, per_day=_TEXTS, seed=1
        )
        self._mapping = AnswerMapping(self.workload)
        self._rng = np.random.default_rng(1)
        self._first_ids: list[str] = []
        self.written = 0

    def day(self, number: int) -> date:
        """Return the date of a day by its number, from 0."""
        return FIRST_DAY + timedelta(days=number)

    @property
    def end(self) -> datetime:
        """The morning after the last day that was written, when its work is done."""
        day = self.day(self.written)
        return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)

    def write(self, count: int) -> None:
        """Write the next days: their events, and what people were asked and answered about them."""
        together = max(1, _ROWS_AT_ONCE // self.events)
        while count > 0:
            self._write(min(count, together))
            count -= together

    def _write(self, count: int) -> None:
        start = self.events * self.written
        judged: dict[str, list[dict[str, object]]] = defaultdict(list)
        events = []
        for _ in range(count):
            day = self.day(self.written)
            events.append(self._events(day))
            self._judge(day, events[-1].slice(0, _JUDGED), judged)
            self.written += 1
        end = self.events * self.written
        self.lake.land(
            "inferences", pa.concat_tables(events), offset_ranges={("t", 0): (start, end)}
        )
        for table, rows in judged.items():
            self.lake.append(table, pa.Table.from_pylist(rows))

    def _events(self, day: date) -> pa.Table:
        count, rng = self.events, self._rng
        midnight = np.datetime64(day, "us")
        moments = np.sort(midnight + rng.integers(0, 86_400_000_000, count).astype("m8[us]"))
        chosen = pa.array(rng.integers(0, len(self._calls), count))
        time = pa.array(moments).cast(pa.timestamp("us", tz="UTC"))
        return pa.table(
            {
                "topic": _same("t", count),
                "topic_id": _same("t", count),
                "partition": pa.array(np.zeros(count, np.int32)),
                "offset": pa.array(np.arange(count) + self.written * count),
                "landed_at": time,
                "timestamp": time,
                "day": pa.array([day] * count, pa.date32()),
                "inference_id": pa.array(self._ids(moments)),
                "workload_id": _same(self.workload.id, count),
                "client_id": pa.array([call.client_id for call in self._calls]).take(chosen),
                "route": _same("champion", count),
                "release": _same("base", count),
                "input": pa.array([call.text for call in self._calls]).take(chosen),
                "output": pa.array([canonical_json(c.truth) for c in self._calls]).take(chosen),
                "confidence": pa.array(rng.beta(8, 2, count)),
                "margin": pa.array(rng.beta(5, 2, count)),
                "latency_ms": pa.array(rng.gamma(4, 5, count)),
            }
        )

    def _ids(self, moments: np.ndarray) -> list[str]:
        milliseconds = moments.astype("datetime64[ms]").astype(np.int64)
        low = self._rng.integers(0, 2**62, len(moments))
        ids = [
            f"{when >> 16:08x}-{when & 0xFFFF:04x}-7000-{key >> 48 | 0x8000:04x}-{key & 2**48 - 1:012x}"
            for when, key in zip(milliseconds.tolist(), low.tolist(), strict=True)
        ]
        again = self._rng.choice(len(ids) - 1, max(2, int(_REPEATED * len(ids))), replace=False)
        for turn, place in enumerate(again.tolist()):
            earlier = self._first_ids if turn % 2 and self._first_ids else ids
            ids[place + 1] = earlier[int(self._rng.integers(len(earlier)))]
        self._first_ids.append(ids[0])
        return ids

    def _judge(
        self, day: date, events: pa.Table, judged: dict[str, list[dict[str, object]]]
    ) -> None:
        rows = events.select(["inference_id", "workload_id", "input", "output"]).to_pylist()
        moment = datetime(day.year, day.month, day.day, 20, tzinfo=UTC)
        for number, row in enumerate(rows):
            item = f"{day:%Y%m%d}-{number}"
            person = _PEOPLE[number % len(_PEOPLE)]
            of_slice = "control" if number < _CONTROL else "uncertain"
            common = {
                "workload_id": self.workload.id,
                "inference_id": row["inference_id"],
            }
            batch = {"batch_id": f"2026Q1-{day:%Y%m%d}", "slice": of_slice, "input": row["input"]}
            asked = {
                "item_id": item,
                "reason": "bench",
                "score": 0.5,
                "inclusion_probability": 0.01 if of_slice == "control" else None,
                "model_output": row["output"],
                "original_output": row["output"],
                "release": "base",
                "judgments": 1,
                "priority": 1.0,
                "event_time": moment,
                "chosen_at": moment,
                "period": "2026Q1",
                "batch_kind": "window",
            }
            judged["review_items"].append(common | batch | asked)
            judged["annotations"].append(common | _judgment(item, person, row["output"], moment))
            judged["corrections"].append(
                common | batch | self._correction(item, person, row["output"], moment)
            )

    def _correction(
        self, item: str, person: str, output: str, moment: datetime
    ) -> dict[str, object]:
        # What a merge of the judgment comes to.
        label_id = self._mapping.present(json.loads(output)).label_id
        return {
            "correction_id": item,
            "version": 1,
            "status": "accepted",
            "output": output,
            "label_id": label_id,
            "taxonomy_version": 1,
            "original_output": output,
            "original_release": "base",
            "annotators": [person],
            "annotation_ids": [item],
            "simulated": True,
            "source": "review",
            "event_time": moment,
            "accepted_at": moment,
        }


def _judgment(item: str, person: str, output: str, moment: datetime) -> dict[str, object]:
    return {
        "annotation_id": item,
        "version": "1",
        "item_id": item,
        "annotator": person,
        "simulated": True,
        "kind": "answer",
        "output": output,
        "seconds": 8.0,
        "created_at": moment,
        "updated_at": moment,
        "deleted": False,
        "raw": "{}",
        "seen_at": moment,
    }


def _same(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)
