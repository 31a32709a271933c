"""`SparkSession`: one session on a Spark Connect server, in the errors and types of the lake."""

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    DataError,
    FlywheelError,
    StorageError,
    UnavailableError,
)

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession as Remote

__all__ = ["SessionEndedError", "SparkServer", "SparkSession"]

# What a statement of the lake relies on, whatever the server's own defaults are.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    # By default Spark writes times in a form that other readers have given up.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Delta lists a table's files in as many tasks, by default in 10,000.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    "spark.databricks.delta.optimize.maxFileSize": str(256 << 20),
    "spark.databricks.delta.optimize.minFileSize": str(256 << 20),
}
_SILENT = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "RETRIES_EXCEEDED")
_DETAILS = re.compile(r'details = "(.*?)[\\n"]')
_LOST_RACES = ("DELTA_CONCURRENT", "ConcurrentModification", "DELTA_METADATA_CHANGED")
# A server ends sessions that were idle for an hour, and all of them when it restarts.
_ENDED = ("INVALID_HANDLE", "SESSION_CLOSED", "SESSION_NOT_FOUND", "SESSION_CHANGED")
_NO_DELTA = ("DATA_SOURCE_NOT_FOUND", "UNSUPPORTED_DATASOURCE_FOR_DIRECT_QUERY")
_CANNOT_SEE = ("DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "PATH_NOT_FOUND")
# Attempts of the client to reach a server; each waits longer. The default waits ten minutes.
_ATTEMPTS, _LONGEST_WAIT_MS = 5, 2_000
# Spark's only type for a whole number of 64 bits without a sign.
_UNSIGNED = pa.decimal128(20, 0)
# The client logs every refused statement, with its text, as an error of its own.
_CLIENT_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "SparkConnectClient")


class SessionEndedError(UnavailableError):
    """The server has ended the session, with everything that was kept in it; the next run opens one."""


@dataclass(frozen=True)
class SparkServer:
    """Where a Spark Connect server is: ``sc://host:port`` and its token, None where it asks for none."""

    url: str
    token: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The address as the client wants it, token included."""
        parts = urlsplit(self.url)
        # Only under this name does the client send a token without encryption, and then to no
        # other machine.
        host = "localhost" if parts.hostname == "127.0.0.1" else parts.hostname
        options = f"token={self.token}" if self.token else ""
        return f"sc://{host}:{parts.port or 15002}/;{options}".rstrip(";/")


class SparkSession:
    """Statements on one server; opened by the first, and safe for several threads.

    ``number`` counts the sessions: what was kept in an earlier one is gone.
    """

    def __init__(self, server: SparkServer) -> None:
        self.server = server
        self.number = 0
        self._lock = threading.Lock()
        self._opened: Remote | None = None

    @property
    def _remote(self) -> "Remote":
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> "Remote":
        try:
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession as Remote
        except ImportError as error:
            raise ConfigurationError(
                "FLYWHEEL_LAKE_ENGINE is spark, and Spark's client is not installed.",
                next_step="install Flywheel with the extra [spark]",
            ) from error
        for name in _CLIENT_LOGGERS:
            logging.getLogger(name).disabled = True
        # It is said by the error as well.
        warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
        remote = Remote.builder.remote(self.server.address).create()
        policy = DefaultPolicy(max_retries=_ATTEMPTS, max_backoff=_LONGEST_WAIT_MS)
        remote.client.set_retry_policies([policy])
        for name, value in _SETTINGS.items():
            remote.conf.set(name, value)
        return remote

    def run(self, statement: str) -> pa.Table:
        """Run one statement and return its rows.

        Raises:
            SessionEndedError: the session is over; another one begins with the next statement.
            UnavailableError: the server does not answer.
            ConcurrencyError: another writer was first.
            DataError: the statement is wrong.
            StorageError: the server cannot read the tables.
        """
        with self._translating():
            return _plain(self._remote.sql(statement).toArrow())

    def command(self, statement: str) -> None:
        """Run one statement that changes something; what it reports is dropped.

        The errors are those of `run`.
        """
        with self._translating():
            self._remote.sql(statement).collect()

    def version(self) -> str:
        """Return the version of Spark.

        Raises:
            ConfigurationError: it has no Delta Lake.
            UnavailableError: it does not answer.
        """
        with self._translating():
            version = str(self._remote.version)
            extensions = self._remote.conf.get("spark.sql.extensions", "")
        if "io.delta" not in str(extensions):
            raise self._without_delta()
        return version

    def close(self) -> None:
        """End the session; the next statement begins another."""
        remote = self._drop()
        if remote is not None:
            # A server that is gone has ended it already.
            with suppress(UnavailableError), self._translating():
                remote.stop()

    def _drop(self) -> "Remote | None":
        with self._lock:
            self.number += 1
            remote, self._opened = self._opened, None
            return remote

    @contextmanager
    def _translating(self) -> Iterator[None]:
        import grpc
        from pyspark.errors import PySparkException

        try:
            yield
        except (grpc.RpcError, PySparkException) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> FlywheelError:
        text, whole = _summary(error), str(error)
        lost = self._lost_session(text, whole)
        if lost is not None:
            self._drop()
            return lost
        if any(word in whole for word in _LOST_RACES):
            return ConcurrencyError(
                f"Another process wrote to the table first: {text}", next_step="try again"
            )
        if any(word in whole for word in _NO_DELTA):
            return self._without_delta()
        if any(word in whole for word in _CANNOT_SEE):
            return StorageError(
                f"Spark at {self.server.url} cannot see the lake: {text}",
                next_step="mount the lake under the same path on the machines of Spark",
            )
        return DataError(f"Spark refused a query of the lake: {text}")

    def _lost_session(self, text: str, whole: str) -> FlywheelError | None:
        if any(word in whole for word in _SILENT):
            return UnavailableError(
                f"Spark at {self.server.url} does not answer: {text}",
                next_step="run `flywheel services up spark`, or correct FLYWHEEL_SPARK_URL; it is "
                "safe to try again",
            )
        if any(word in whole for word in _ENDED):
            return SessionEndedError(
                f"Spark at {self.server.url} has ended the session.",
                next_step="it is safe to try again",
            )
        if "UNAUTHENTICATED" in whole:
            return ConfigurationError(
                f"Spark at {self.server.url} refuses the token.",
                next_step="correct FLYWHEEL_SPARK_TOKEN",
            )
        return None

    def _without_delta(self) -> ConfigurationError:
        return ConfigurationError(
            f"Spark at {self.server.url} has no Delta Lake.",
            next_step="start it with Delta's jars and extension, as docs/how-to/spark.md shows",
        )


def _summary(error: Exception) -> str:
    # The first line: what follows is a plan, and plans quote values. Of an error of the connection
    # it is the line with the details.
    text = str(error)
    details = _DETAILS.search(text)
    return (details[1] if details else text.strip().split("\n", 1)[0])[:300]


def _plain(rows: pa.Table) -> pa.Table:
    # In the types in which DuckDB answers.
    fields = [pa.field(one.name, _plain_type(one.type)) for one in rows.schema]
    return rows.cast(pa.schema(fields))


def _plain_type(kind: Any) -> pa.DataType:
    if kind == _UNSIGNED:
        return pa.uint64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    if pa.types.is_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind
