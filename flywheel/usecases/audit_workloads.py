"""`audit_logs`: a table of the tasks in logs of model calls, without a deployment."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.economics.logged_call import logged_call
from flywheel.economics.prices import Prices, read_prices
from flywheel.economics.task_groups import VARYING, TaskGroups
from flywheel.economics.task_ranking import TaskLine, rank_tasks
from flywheel.errors import DataError, EventError, NotFoundError
from flywheel.events.foreign import FORMATS, read_call
from flywheel.ingest.import_events import batch_requests
from flywheel.ingest.import_lines import FileLine, read_lines

__all__ = ["VARYING", "Audit", "SkippedLines", "TaskLine", "audit_logs"]

_FIRST_LINES = 5
_EVERY = 10_000


@dataclass
class SkippedLines:
    """Records that are no call, for one reason; ``first`` are FILE:LINE of some of them."""

    reason: str
    count: int
    first: list[str]
    example: str


@dataclass(frozen=True)
class Audit:
    """What was read, the tasks in it, and what was not counted.

    ``broken_off`` says of each file that could not be read to its end why.
    """

    records: int
    calls: int
    formats: dict[str, int]
    tasks: tuple[TaskLine, ...]
    skipped: tuple[SkippedLines, ...]
    broken_off: tuple[str, ...]
    currency: str | None


def audit_logs(
    files: Sequence[Path],
    *,
    format_name: str | None = None,
    requests: Path | None = None,
    prices: Path | None = None,
    region: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Audit:
    """Read logs and sum up their calls by task; a line that is no call is counted, and stops nothing.

    Args:
        files: in any format that `flywheel import` reads.
        format_name: one of the import's formats; None: guessed for each record.
        requests: input file of a batch, for its output file.
        prices: file of prices, whose tiers name the models of the log.
        region: country of telephone numbers and national ids, for personal data.
        on_progress: told how many records were read, now and then.

    Raises:
        NotFoundError: a file is not there, or there is no such format.
        ConfigurationError: the prices are not valid.
    """
    if format_name is not None and format_name not in FORMATS:
        raise NotFoundError(
            f"There is no format {format_name!r}.",
            next_step=f"choose {', '.join(FORMATS)}, or auto",
        )
    for file in files:
        if not file.is_file():
            raise NotFoundError(f"There is no file {file}.", next_step="check the path")
    stated = None if prices is None else read_prices(prices)
    asked = {} if requests is None else batch_requests(read_lines(requests))
    reading = _Reading(format_name, asked, on_progress)
    for file in files:
        reading.read(file)
    return reading.audit(stated, region)


class _Reading:
    def __init__(
        self,
        format_name: str | None,
        requests: Mapping[str, Any],
        on_progress: Callable[[int], None],
    ) -> None:
        self._format_name = format_name
        self._requests = requests
        self._on_progress = on_progress
        self._groups = TaskGroups()
        self._formats: Counter[str] = Counter()
        self._skipped: dict[str, SkippedLines] = {}
        self._broken_off: list[str] = []
        self._records = 0

    def read(self, file: Path) -> None:
        try:
            for line in read_lines(file):
                self._records += 1
                if self._records % _EVERY == 0:
                    self._on_progress(self._records)
                self._take(file, line)
        except DataError as error:
            # What came before counts, and so do the other files.
            self._broken_off.append(error.message)

    def audit(self, prices: Prices | None, region: str | None) -> Audit:
        return Audit(
            records=self._records,
            calls=sum(self._formats.values()),
            formats=dict(sorted(self._formats.items())),
            tasks=tuple(rank_tasks(self._groups.tasks(), prices, region=region)),
            skipped=tuple(sorted(self._skipped.values(), key=lambda one: -one.count)),
            broken_off=tuple(self._broken_off),
            currency=None if prices is None else prices.currency,
        )

    def _take(self, file: Path, line: FileLine) -> None:
        try:
            if line.problem is not None:
                raise line.problem
            call = read_call(line.value, format_name=self._format_name, requests=self._requests)
            logged = logged_call(call)
        except EventError as error:
            self._skip(file, line, error)
            return
        self._groups.add(logged)
        self._formats[call.format] += 1

    def _skip(self, file: Path, line: FileLine, error: EventError) -> None:
        reason = str(error.reason)
        skipped = self._skipped.setdefault(reason, SkippedLines(reason, 0, [], error.message))
        skipped.count += 1
        if len(skipped.first) < _FIRST_LINES:
            skipped.first.append(f"{file.name}:{line.number}")
