"""Open Delta tables: made on first use, cached, opened again after each checkpoint.

The cost of an append grows with the commits that a handle has seen, hence the re-opening, and with
the entries in the log's folder, hence their short life: a checkpoint holds all that they told.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    SchemaMismatchError,
    TableNotFoundError,
)

from flywheel.errors import ConcurrencyError, StorageError
from flywheel.io.lock import exclusive
from flywheel.lake.digests import Digests, data_files, relative_path
from flywheel.lake.location import LakeLocation, LakePath
from flywheel.lake.log_watch import LogWatch
from flywheel.lake.table import LakeTable, delta_settings
from flywheel.lake.write_errors import write_error

__all__ = ["CHECKPOINT_COMMITS", "NO_HOOKS", "TableHandle"]

CHECKPOINT_COMMITS = 30
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_DISTINCT = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
# Says in a commit that its files' digests are kept: a table without any has lost them.
_DIGESTS_KEPT = "flywheel.digests"
# An application of the table: all its files have digests, so that one without has lost it.
_COMPLETE = "flywheel.digests"
# An application of the table: how often its files were replaced.
_REWRITES = "flywheel.rewrites"
_NEWEST_COMMITS = 100


class TableHandle:
    """One table of the lake, through one snapshot at a time.

    Not safe for several threads; the store holds the lock.
    """

    def __init__(self, table: LakeTable, location: LakeLocation, digests: Digests) -> None:
        self.table = table
        self.location = location
        self.folder = location.root / table.name
        self._digests = digests
        self._log = LogWatch(self.folder)
        self._delta: DeltaTable | None = None
        self._writer = WriterProperties(
            compression="ZSTD",
            compression_level=1,
            column_properties=dict.fromkeys(table.distinct, _DISTINCT) or None,
        )

    def refresh(self) -> DeltaTable | None:
        """Return the table at its newest version, or None when it was never written."""
        if self._delta is not None:
            try:
                if self._log.is_replaced(self._delta.version()):
                    self._delta = None
                elif not self._log.has_ended(self._delta.version()):
                    self._delta.update_incremental()
            except (DeltaError, OSError):
                self._delta = None  # maintenance has removed the log entries in between
        if self._delta is None and (
            self.location.is_remote or (self.folder / "_delta_log").is_dir()
        ):
            self._delta = self._open()
        if self._delta is not None:
            self._log.note(self._delta.version())
        return self._delta

    @property
    def snapshot_key(self) -> tuple[int, int] | None:
        """What `refresh` has opened: the version, and how often the log was replaced until then.

        After a backup was restored in its place the version alone may stand for other rows.
        """
        return None if self._delta is None else (int(self._delta.version()), self._log.generation)

    def _open(self) -> DeltaTable | None:
        try:
            return DeltaTable(str(self.folder), storage_options=self.location.delta_options)
        except TableNotFoundError:
            return None  # another process is making it at this moment
        except (DeltaError, OSError) as error:
            problem = f"The lake table {self.table.name} cannot be opened"
            raise self.location.error(problem, error) from error

    def ready(self) -> DeltaTable:
        """Return the table at its newest version, made first where it is missing."""
        delta = self.refresh()
        if delta is not None:
            return delta
        self.require_writable()
        try:
            self._delta = DeltaTable.create(
                str(self.folder),
                self.table.schema,
                partition_by=list(self.table.partition_by) or None,
                configuration=delta_settings(self.table),
                commit_properties=CommitProperties(app_transactions=[Transaction(_COMPLETE, 1)]),
                storage_options=self.location.delta_options,
            )
        except (DeltaError, OSError) as error:
            # Two processes made it at once: the other one's table is as good as ours.
            self._delta = self._open()
            if self._delta is None:
                raise write_error(self.table.name, self.folder, self.location, error) from error
        return self._delta

    def present(self) -> DeltaTable:
        """Return the snapshot that the next commit goes through, without refreshing it."""
        assert self._delta is not None  # ready() was called under the same lock
        return self._delta

    @contextmanager
    def rewriting(self) -> Iterator[None]:
        """Hold the table for a commit that replaces files; refresh the snapshot inside.

        Delta lets two compactions (also an update beside one) replace the same files, and their
        rows are there twice. Appends need no such turn. The lock ends with the process, and holds
        on this machine: that `rewrite` marks the commit keeps those of two machines apart.
        """
        self.require_writable()
        with exclusive(self.location.local / f".{self.table.name}.lock"):
            yield

    def rewrite(self) -> CommitProperties:
        """Return what a commit that replaces files carries: of two from one version one is refused."""
        return CommitProperties(app_transactions=[self._next_rewrite()])

    def _next_rewrite(self) -> Transaction:
        return Transaction(_REWRITES, (self.present().transaction_version(_REWRITES) or 0) + 1)

    @property
    def can_write(self) -> bool:
        """Whether this process may write the table, or make it."""
        return self.location.can_write(self.folder / "_delta_log" / "commit")

    def require_writable(self) -> None:
        """Raise StorageError where this process may not write the table, before Delta tries."""
        if not self.can_write:
            raise StorageError(
                f"{self.table.name} of the lake may not be written: {self.folder} is read-only for "
                "this process.",
                next_step="look at the mount and the permissions; commands that only look work",
            )

    def append(self, rows: pa.Table, transactions: Sequence[tuple[str, int]]) -> None:
        """Commit rows through the present snapshot, with application transactions if given."""
        marks = [Transaction(*transaction) for transaction in transactions]
        self._write(rows, marks or None, mode="append")

    def overwrite(self, rows: pa.Table | pa.RecordBatchReader, predicate: str | None) -> None:
        """Commit rows in place of those that ``predicate`` matches; None: of all."""
        self._write(rows, [self._next_rewrite()], mode="overwrite", predicate=predicate)

    def change(self, action: Callable[[DeltaTable], None]) -> None:
        """Run one committing action on the present snapshot; a lost race is a ConcurrencyError."""
        self.require_writable()
        delta = self.present()
        before = delta.version()
        with suppress(StorageError, OSError):
            self._record_earlier()
        try:
            action(delta)
        except CommitFailedError as error:
            self._delta = None
            raise ConcurrencyError(
                f"Another process wrote to {self.table.name} first: {error}",
                next_step="read the position again and retry",
            ) from error
        except (DeltaError, SchemaMismatchError, OSError) as error:
            self._delta = None
            raise write_error(self.table.name, self.folder, self.location, error) from error
        self._log.note(delta.version())
        # The rows are in: a failure here must not make anyone write them again. A file without a
        # digest counts as not verified, and maintenance takes its digest later.
        with suppress(StorageError, OSError):
            identity = str(delta.metadata().id)
            complete = delta.transaction_version(_COMPLETE) is not None
            for version in range(before + 1, delta.version() + 1):
                self._digests.record(
                    self.table.name, identity, self.folder, version, complete=complete
                )

    def _record_earlier(self) -> None:
        # What a process committed that ended before it recorded, while the log still names it. A
        # table that has files and no record has lost its digests: none are invented for it.
        delta, name = self.present(), self.table.name
        identity, version = str(delta.metadata().id), int(delta.version())
        recorded = self._digests.table(name)
        if recorded is None:
            if not delta.file_uris():
                self._digests.begin(name, identity, version)
        elif recorded[0] == identity:
            for earlier in range(recorded[1] + 1, version + 1):
                self._digests.record(
                    name, identity, self.folder, earlier, complete=self.is_complete, later=True
                )

    def files(self) -> dict[str, LakePath]:
        """Return the data files of the present snapshot, by their path below the folder."""
        names = [relative_path(self.folder, uri) for uri in data_files(self.present())]
        return {name: self.folder / name for name in sorted(names)}

    def commits_with_digests(self) -> int:
        """Count the newest commits whose files' digests were to be kept."""
        newest = self.present().history(_NEWEST_COMMITS)
        return sum(_DIGESTS_KEPT in commit for commit in newest)

    @property
    def is_complete(self) -> bool:
        """Whether every file of the present snapshot must have a digest."""
        return self.present().transaction_version(_COMPLETE) is not None

    def adopt_files(self) -> int:
        """Take the digest of every file that has none, and return how many there were.

        From then on a file without a digest has lost it. For a table for which that holds already,
        it takes an owner who accepts its files as they are.
        """
        delta = self.present()
        identity, version = str(delta.metadata().id), int(delta.version())
        adopted = self._digests.adopt(self.table.name, identity, version, self.files())
        if not self.is_complete:
            nothing = pa.Table.from_pylist([], schema=self.table.schema)
            self.append(nothing, [(_COMPLETE, 1)])
        return adopted

    def _write(
        self,
        rows: pa.Table | pa.RecordBatchReader,
        marks: list[Transaction] | None,
        **options: Any,
    ) -> None:
        def write(delta: DeltaTable) -> None:
            column_names = {field.name for field in delta.schema().fields}
            write_deltalake(
                delta,
                rows,
                schema_mode="merge" if set(rows.schema.names) - column_names else None,
                writer_properties=self._writer,
                commit_properties=CommitProperties(
                    custom_metadata={_DIGESTS_KEPT: "true"}, app_transactions=marks
                ),
                post_commithook_properties=NO_HOOKS,
                **options,
            )
            if delta.version() and delta.version() % CHECKPOINT_COMMITS == 0:
                # The rows are in: a failure here must not make anyone write them again.
                with suppress(DeltaError, OSError):
                    self._checkpoint(delta)

        self.change(write)

    def checkpoint(self) -> None:
        """Write a checkpoint and open the table again from it."""
        self.change(self._checkpoint)

    def _checkpoint(self, delta: DeltaTable) -> None:
        delta.create_checkpoint()
        delta.cleanup_metadata()
        self._delta = self._open()

    def configure(self) -> None:
        """Give a table that was made earlier the settings that it would be made with now."""
        expected = delta_settings(self.table)
        actual = self.present().metadata().configuration
        missing = {key: value for key, value in expected.items() if actual.get(key) != value}
        if missing:
            self.change(lambda delta: delta.alter.set_table_properties(missing))

    def forget(self) -> None:
        """Drop the snapshot, so that the next use opens the table again."""
        self._delta = None
