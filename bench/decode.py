"""Decode speed against bare msgspec, measured in one run: medians of processor time, anchors beside.

`decode` is decoding with every check of the contract but those that need the request; `arrow` is
from bytes to the Arrow table that the lake gets, those checks and the input's extraction included.
The anchor is msgspec's typed decode of the same bytes into the same struct, with no check beside.
"""

import gc
import statistics
import time
from collections.abc import Callable

import msgspec

from bench.events import START, make_records, make_workload
from bench.ratio import Ratio
from flywheel.events import EventContract, InferenceEvent, decode_inferences
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import arrange

__all__ = ["measure"]

_EVENTS = 10_000
_ROUNDS = 9


def measure(*, events: int = _EVENTS, rounds: int = _ROUNDS) -> list[Ratio]:
    """Measure decoding and the way to Arrow against bare msgspec."""
    workload = make_workload()
    records = make_records(workload, events)
    values = [record.value for record in records]
    contract = EventContract([workload])
    bare = msgspec.json.Decoder(InferenceEvent).decode
    seconds = _medians(
        {
            "bare": lambda: [bare(value) for value in values],
            "decode": lambda: decode_inferences(values, contract),
            "arrow": lambda: arrange(records, contract, AnswerTexts(), now=START),
        },
        rounds,
    )
    speed = {name: events / total for name, total in seconds.items()}
    return [
        Ratio(
            name=f"{what} / bare msgspec",
            measured=speed[key],
            anchor=speed["bare"],
            unit="events/CPU-s",
            aim=f"at least {aim}",
            good=speed[key] >= aim * speed["bare"],
        )
        for what, key, aim in (
            ("decode and validate", "decode", 0.9),
            ("bytes to Arrow", "arrow", 0.22),
        )
    ]


def _medians(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    # In turns, so that a slow moment of the machine hits all of them.
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            gc.collect()
            started = time.process_time()
            action()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}
