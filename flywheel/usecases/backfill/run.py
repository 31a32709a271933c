"""`backfill_answers` and `backfill_vectors`: do over texts of the past what they lack, part by part.

What is landed is done: stopped or killed at any point, the same call goes on behind it.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError
from flywheel.ports.bulk_work import BulkExecutor, BulkWork, PartName, TextPart
from flywheel.state.kept_lease import keep_lease
from flywheel.usecases.backfill import PART_ROWS
from flywheel.usecases.backfill.in_process import InProcessExecutor
from flywheel.usecases.backfill.landing import Lander
from flywheel.usecases.backfill.products import Product
from flywheel.usecases.backfill.text_file import TextFile, texts_of_file
from flywheel.usecases.backfill.texts import DayCount, TextSource, count_days, read_parts
from flywheel.usecases.backfill.work import answer_work, embed_work

if TYPE_CHECKING:
    import pyarrow as pa

    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "BackfillReport",
    "Days",
    "PartDone",
    "backfill_answers",
    "backfill_vectors",
    "executor_of",
]


@dataclass(frozen=True)
class Days:
    """The calls of some days in UTC, both ends included."""

    first: date
    last: date


@dataclass(frozen=True)
class PartDone:
    """A part that was landed: its rows, and how many of them are errors; of how many texts in all."""

    day: date
    part: str
    rows: int
    failed: int
    done: int
    texts: int


@dataclass(frozen=True)
class BackfillReport:
    """What a call did; ``days`` says where each day stands then.

    ``landed`` counts the rows of this call, ``known`` those that were there before.
    """

    run: str
    workload_id: str
    table: str
    maker: str
    first: date
    last: date
    landed: int
    failed: int
    known: int
    days: tuple[DayCount, ...]


def backfill_answers(  # noqa: PLR0913 - what a person chooses
    platform: "Platform",
    workload: "Workload",
    release: str,
    texts: Days | TextFile,
    *,
    part_rows: int = PART_ROWS,
    executor: BulkExecutor | None = None,
    on_part: Callable[[PartDone], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> BackfillReport:
    """Answer the texts of calls or of a file with a release, into the table `backfill_answers`.

    Args:
        platform: holds lake, state and model server.
        workload: whose texts.
        release: that answers; ``base`` is the base without an adapter.
        texts: which ones.
        part_rows: about how many texts land at once.
        executor: where the work is done; default: as the settings choose.
        on_part: called after each part.
        on_notice: given a sentence for the person who waits.

    Raises:
        NotFoundError: the workload has no such release.
        ConcurrencyError: another process does the same backfill.
        ConfigurationError: the first day comes after the last one, or the file is of another kind.
        DataError: the file has no such columns, or its ids are none.
    """
    work = answer_work(platform, workload, release)
    backfill = _Backfill(platform, work, Product.answers(release), texts, part_rows, on_part)
    return backfill.run(executor or executor_of(platform), on_notice)


def backfill_vectors(
    platform: "Platform",
    workload: "Workload",
    texts: Days | TextFile,
    *,
    part_rows: int = PART_ROWS,
    executor: BulkExecutor | None = None,
    on_part: Callable[[PartDone], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> BackfillReport:
    """Make the sentence vectors of texts, into the table `text_vectors`.

    The arguments and errors are those of `backfill_answers`.
    """
    work = embed_work(workload)
    backfill = _Backfill(platform, work, Product.vectors(), texts, part_rows, on_part)
    return backfill.run(executor or executor_of(platform), on_notice)


def executor_of(platform: "Platform", *, workers: int = 1) -> BulkExecutor:
    """Return where a deployment does bulk work: on the cluster that trains, or in this process.

    Args:
        platform: its settings choose.
        workers: most workers of a cluster at once.
    """
    settings = platform.settings
    if settings.train_launcher != "ray":
        return InProcessExecutor(platform)
    from flywheel.usecases.backfill.on_ray import RayExecutor
    from flywheel.wiring.adapters import ray_cluster

    return RayExecutor(
        ray_cluster(settings),
        settings.train_exchange_url,
        workers,
        settings.train_lease_seconds,
    )


def _source(
    platform: "Platform", work: BulkWork, product: Product, texts: Days | TextFile
) -> TextSource:
    if isinstance(texts, TextFile):
        return texts_of_file(platform.lake, work.workload, product, texts)
    if texts.first > texts.last:
        raise ConfigurationError(
            f"The first day, {texts.first}, comes after the last one, {texts.last}.",
            next_step="exchange --from and --to",
        )
    return TextSource(texts.first, texts.last)


class _Backfill:
    """One call: the texts, what is landed of them, and who is told."""

    def __init__(
        self,
        platform: "Platform",
        work: BulkWork,
        product: Product,
        texts: Days | TextFile,
        part_rows: int,
        on_part: Callable[[PartDone], None],
    ) -> None:
        self._platform, self._work, self._product = platform, work, product
        self._workload_id = work.workload.id
        self._texts_of = partial(_source, platform, work, product, texts)
        self._source = self._texts_of()
        self._part_rows = part_rows
        self._on_part = on_part
        self._run = uuid.uuid4().hex[:12]
        self._lander = Lander(platform.lake, self._workload_id, product, self._run)
        self._landed = self._failed = self._known = self._texts = 0

    def run(self, executor: BulkExecutor, on_notice: Callable[[str], None]) -> BackfillReport:
        leases = self._platform.state.leases
        with keep_lease(leases, f"backfill:{self._workload_id}:{self._product.maker}"):
            before = self._count()
            self._known = sum(day.done for day in before)
            self._texts = sum(day.texts for day in before)
            if self._known < self._texts:
                executor.run(self._work, self._parts(), on_result=self._land, on_notice=on_notice)
        return self._report()

    def _count(self) -> list[DayCount]:
        return count_days(self._platform.lake, self._workload_id, self._product, self._source)

    def _parts(self) -> Iterator[TextPart]:
        # Counted again: the executor may have handed over what an earlier call had done, and with
        # it the day on which the rows of a file lie.
        if self._landed:
            self._source = self._texts_of()
        lake, rows = self._platform.lake, self._part_rows
        for day in self._count():
            if day.missing:
                self._lander.begin(day.day)
                parts = read_parts(
                    lake, self._workload_id, self._product, self._source, day, part_rows=rows
                )
                yield from map(self._lander.hand_out, parts)

    def _land(self, name: PartName, rows: "pa.Table") -> None:
        landed = self._lander.land(name, rows, self._platform.clock.now())
        error = self._product.error
        failed = 0 if error is None else landed.num_rows - landed[error].null_count
        self._landed += landed.num_rows
        self._failed += failed
        done = self._known + self._landed
        self._on_part(PartDone(name.day, name.part, landed.num_rows, failed, done, self._texts))

    def _report(self) -> BackfillReport:
        return BackfillReport(
            run=self._run,
            workload_id=self._workload_id,
            table=self._product.table,
            maker=self._product.maker,
            first=self._source.first,
            last=self._source.last,
            landed=self._landed,
            failed=self._failed,
            known=self._known,
            days=tuple(self._count()),
        )
