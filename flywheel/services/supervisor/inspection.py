"""What PostgreSQL and MLflow say of themselves, wherever they run, for `flywheel doctor`."""

from dataclasses import dataclass

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.http import shown_address
from flywheel.services.supervisor.health import ask

__all__ = ["PostgresFacts", "inspect_mlflow", "inspect_postgres"]

_SECONDS = 10


@dataclass(frozen=True)
class PostgresFacts:
    """One database as its user sees it."""

    place: str
    version: int
    may_create_tables: bool
    tables: int


def inspect_postgres(url: str, *, setting: str) -> PostgresFacts:
    """Ask a PostgreSQL database for its version and what the user may do; nothing is written.

    Args:
        url: its SQLAlchemy URL, which never appears in a message.
        setting: the variable that holds it, for messages.

    Raises:
        UnavailableError: It does not answer.
        ConfigurationError: The URL is wrong, or the server refuses user, password or database.
    """
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg2")
    except ArgumentError:
        # Not chained: what could not be parsed may hold a password.
        raise ConfigurationError(
            f"{setting} is not a database URL.",
            next_step="give postgresql://USER:PASSWORD@HOST:PORT/NAME",
        ) from None
    place = f"{parsed.database} at {parsed.host}:{parsed.port or 5432}"
    engine = create_engine(parsed, connect_args={"connect_timeout": _SECONDS})
    try:
        with engine.connect() as connection:
            row = connection.execute(
                text(
                    "select current_setting('server_version_num')::int / 10000,"
                    " coalesce(has_schema_privilege(current_user, current_schema(), 'create'),"
                    " false), (select count(*) from pg_tables where schemaname = current_schema())"
                )
            ).one()
    except SQLAlchemyError as error:
        raise _refused(error, place, str(parsed.password or ""), setting) from None
    finally:
        engine.dispose()
    return PostgresFacts(place, *row)


def _refused(
    error: SQLAlchemyError, place: str, password: str, setting: str
) -> UnavailableError | ConfigurationError:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    last_line = lines[-1].strip() if lines else "no reason given"
    last_line = last_line.replace(password, "***") if password else last_line
    if "FATAL" in last_line and "starting up" not in last_line and "shutting down" not in last_line:
        return ConfigurationError(
            f"PostgreSQL refuses {place}: {last_line}",
            next_step=f"correct user, password or database in {setting}",
        )
    return UnavailableError(
        f"PostgreSQL does not answer for {place}: {last_line}",
        next_step=f"start it (`flywheel services up postgres`), or correct {setting}",
    )


def inspect_mlflow(url: str) -> str:
    """Ask an MLflow server for its version.

    Raises:
        UnavailableError: It does not answer, or is not well.
    """
    base = url.rstrip("/")
    if ask(f"{base}/health") is None or (version := ask(f"{base}/version")) is None:
        raise UnavailableError(
            f"MLflow does not answer at {shown_address(base)}.",
            next_step="start it (`flywheel services up mlflow`), or correct FLYWHEEL_MLFLOW_URL",
        )
    return version
