"""How MLflow is called: opened late, with short patience, its errors in Flywheel's words.

A server that is away or hangs costs seconds, not MLflow's own minutes. Its own repeats are off,
since a request that timed out may still be carried out and would then be made twice: whole
operations are repeated instead, each of which first looks for what an earlier try left.
"""

import logging
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from flywheel.errors import (
    ConfigurationError,
    FlywheelError,
    StorageError,
    UnavailableError,
)
from flywheel.io.retry import AWAY, retried
from flywheel.io.sqlite_file import use_write_ahead_log

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

__all__ = ["MlflowPlace"]

_Result = TypeVar("_Result")
_SWITCHES = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_OVER_HTTP = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
# A server that restarts is waited for this long.
_PATIENCE_SECONDS = 10.0
_PASSING = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "ABORTED"}
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}
_AGAIN = (
    "see that the server runs (`flywheel services status`), then give the same command again: it "
    "resumes where it stopped"
)


class MlflowPlace:
    """Where MLflow is: an SQLite file of our own, or a server over HTTP.

    Raises:
        ConfigurationError: the address holds a user or a password.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.uri = uri
        self.is_remote = parts.scheme in {"http", "https"}
        if self.is_remote and (parts.username is not None or parts.password is not None):
            raise ConfigurationError(
                f"FLYWHEEL_MLFLOW_URL holds the login of the server at {parts.hostname}.",
                next_step="give it as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or as "
                "MLFLOW_TRACKING_TOKEN, in the environment",
            )
        self._password = parts.password

    @property
    def name(self) -> str:
        """Name the place for people, without a password."""
        return self._masked(self.uri)

    def connect(self) -> "MlflowClient":
        """Open a client and see that both stores answer."""
        with self.translated(), _quiet():
            from mlflow import MlflowClient

            if self.uri.startswith("sqlite:///"):
                _prepare_sqlite(Path(self.uri.removeprefix("sqlite:///")))
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
        return client

    def patiently(self, operation: Callable[[], _Result]) -> _Result:
        """Run an operation that may be repeated, and repeat it while MLflow is briefly away.

        Raises:
            UnavailableError: it stayed away; the operation can be given again later.
        """

        def attempt() -> _Result:
            with self.translated():
                return operation()

        return retried(attempt, AWAY.within(_PATIENCE_SECONDS), UnavailableError)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise a FlywheelError in place of what MLflow raises inside."""
        with _loading(remote=self.is_remote), _quiet():
            from mlflow.exceptions import MlflowException
        try:
            yield
        except MlflowException as error:
            raise self._failure(error) from error
        except OSError as error:
            raise self._file_failure(error) from error

    def _failure(self, error: "MlflowException") -> FlywheelError:
        message, code = self._masked(error), str(error.error_code)
        # What MLflow's client cannot say better, such as a refused connection, is an internal error.
        if code in _PASSING or (self.is_remote and code == "INTERNAL_ERROR"):
            return UnavailableError(
                f"MLflow did not answer ({self.name}): {message}", next_step=_AGAIN
            )
        if code in _REFUSED:
            return self._refused(message)
        return StorageError(
            f"MLflow refused ({self.name}): {message}",
            next_step="look at the MLflow database and its folder",
        )

    def _file_failure(self, error: OSError) -> FlywheelError:
        # Raised by requests for a file that the server did not take or give.
        status = getattr(getattr(error, "response", None), "status_code", None)
        message = self._masked(error)
        if status in {401, 403}:
            return self._refused(message)
        if status is not None and status < 500 and status not in {408, 429}:  # noqa: PLR2004
            return StorageError(
                f"MLflow did not take or give a file ({self.name}): {message}",
                next_step="look at the server's artifact store (--serve-artifacts)",
            )
        return UnavailableError(
            f"A file could not be brought to MLflow or back ({self.name}): {message}",
            next_step=_AGAIN,
        )

    def _refused(self, message: str) -> ConfigurationError:
        return ConfigurationError(
            f"MLflow does not let Flywheel in ({self.name}): {message}",
            next_step="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN, in the environment; the server must allow its host name",
        )

    def _masked(self, text: object) -> str:
        line = " ".join(str(text).split())
        names = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
        for secret in (self._password, *map(os.environ.get, names)):
            line = line.replace(secret, "***") if secret else line
        return line


def _prepare_sqlite(path: Path) -> None:
    # MLflow brings a new database through 68 migrations of several commits each. With a write-ahead
    # log that takes 2 s in place of 5, and the interface can read while a training is logged.
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with closing(sqlite3.connect(path)) as connection:
            use_write_ahead_log(connection, seconds=_PATIENCE_SECONDS)


@contextmanager
def _loading(*, remote: bool) -> Iterator[None]:
    # Read by MLflow at import or at each call; a deployment that set one of them is left alone.
    for name, value in (_SWITCHES | (_OVER_HTTP if remote else {})).items():
        os.environ.setdefault(name, value)
    # A new database logs one line per migration.
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"MLflow cannot be loaded: {error}",
            next_step="install the extra: pip install 'flywheel-slm[registry]'",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # MLflow 3.17 maps its tables in a way that SQLAlchemy 2.1 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
