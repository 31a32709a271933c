"""A workload with a judge behind a real socket, its production answers and what people said of some."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.workload.model import Workload
from tests.fakes.openai_upstream import FakeUpstream
from tests.fakes.review_world import answer, classification, put_answers, put_corrections, truth

__all__ = ["MONDAY", "JudgeWorld", "judge_rules"]

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)
RUBRIC = "The label is the one that the report deserves."


def judge_rules(url: str, **changes: Any) -> dict[str, Any]:
    """Return a judge as a workload file states it."""
    source = {"name": "critic", "url": url, "model": "big", "price_in": 1.0, "price_out": 2.0}
    source |= changes.pop("source", {})
    return {"source": source, "rubric": RUBRIC, "floor": 0.6} | changes


class JudgeWorld:
    """What the use cases of a judge need of a platform: lake, clock and home.

    Answers are numbered; every tenth is wrong. ``errs`` says of which the endpoint's verdict is
    turned around, ``silent`` of which it is none.
    """

    def __init__(self, home: Path, upstream: FakeUpstream, **judge: Any) -> None:
        self.home = home
        self.lake = Lake(home / "lake")
        self.clock = ManualClock(MONDAY)
        self.upstream = upstream
        self.workload: Workload = classification(judge=judge_rules(upstream.url, **judge))
        self.errs: Callable[[int], bool] = lambda number: number % 10 == 3
        self.silent: Callable[[int], bool] = lambda _number: False
        self._numbers: dict[str, int] = {}
        self._times: dict[int, datetime] = {}
        upstream.answer = self.verdict
        upstream.models = ["big"]

    def with_judge(self, **judge: Any) -> Workload:
        """Return the workload with another judge, as an edited file would state it."""
        return classification(judge=judge_rules(self.upstream.url, **judge))

    def traffic(
        self,
        numbers: Sequence[int],
        start: datetime = MONDAY,
        *,
        every: timedelta = timedelta(minutes=10),
        **changes: Any,
    ) -> None:
        """Land answers, one every ten minutes."""
        rows = []
        for place, number in enumerate(numbers):
            given = truth(number) if number % 10 else truth(number + 1)
            row = answer(number, output=given, timestamp=start + place * every)
            rows.append(row | changes)
            self._numbers[str(row["input"])] = number
            self._times[number] = rows[-1]["timestamp"]
        put_answers(self.lake, self.workload, rows, offset=numbers[0])

    def judge_by_people(self, numbers: Sequence[int]) -> None:
        """Draw answers into the control slice, and let people decide them."""
        items = [
            {
                "workload_id": self.workload.id,
                "item_id": f"c-i{number:05d}",
                "inference_id": f"i{number:05d}",
                "slice": "control",
                "inclusion_probability": 0.25,
                "release": "base",
                "event_time": self._times[number],
                "chosen_at": self._times[number],
            }
            for number in numbers
        ]
        table = pa.Table.from_pylist(items, schema=TABLES["review_items"].schema)
        self.lake.append("review_items", table)
        decided = [
            {
                "inference_id": f"i{number:05d}",
                "correction_id": f"c-i{number:05d}",
                "input": f"report {number}",
                "output": truth(number),
                "event_time": self._times[number],
            }
            for number in numbers
        ]
        put_corrections(self.lake, self.workload, decided)

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What the endpoint was asked, in no particular order."""
        return [json.loads(body["messages"][-1]["content"]) for body in self.upstream.bodies]

    def close(self) -> None:
        """Close the lake."""
        self.lake.close()

    def verdict(self, body: dict[str, Any]) -> str:
        """Return what the endpoint answers to a request."""
        question = json.loads(body["messages"][-1]["content"])
        number = self._numbers.get(question["input"])
        if number is None:
            return '{"label":"correct"}'
        if self.silent(number):
            return "I had rather not say."
        approves = (question["answer"] == truth(number)) != self.errs(number)
        return json.dumps({"label": "correct" if approves else "incorrect"})
