"""Label Studio in an environment of its own: database and files in the set, sign-up off, no telemetry.

Its database is SQLite in a write-ahead log: the PostgreSQL that comes out of a wheel lacks the
extension (``pg_trgm``) that Label Studio's migrations ask for. They take half a minute, so an
empty migrated database is kept in the cache and copied.
"""

import ipaddress
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flywheel.errors import StorageError, UnavailableError
from flywheel.io.atomic import copy_file
from flywheel.io.lock import exclusive
from flywheel.services.label_studio_account import Account, ensure_token
from flywheel.services.supervisor.environments import environment_programs, install_environment
from flywheel.services.supervisor.health import answers
from flywheel.services.supervisor.network import HOST
from flywheel.services.supervisor.passwords import made_once
from flywheel.services.supervisor.program import Program

__all__ = [
    "Server",
    "prepare",
    "program",
    "renew_token",
    "token",
    "url",
    "webhook_secret",
    "webhook_url",
]

NAME = "label-studio"
EMAIL = "flywheel@localhost"
_TOKEN, _WEBHOOK_SECRET, _PASSWORD, _KEY = (
    "label_studio_token", "label_studio_webhook", "label_studio_password", "label_studio_key",
)  # fmt: skip
_DATABASE = "label_studio.sqlite3"
_MIGRATE_SECONDS = 1_800  # alone half a minute; beside other work much longer
# What Label Studio itself refuses to connect to unless told otherwise; see its core/utils/io.py.
_BANNED = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128",
    "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32",
    "2001:20::/28", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip


@dataclass(frozen=True)
class Server:
    """One Label Studio on loopback, and the port of the receiver that it may call."""

    folder: Path
    secrets: Path
    cache: Path
    port: int
    webhook_port: int
    token_days: int = 30


def url(server: Server) -> str:
    """Return its address."""
    return f"http://{HOST}:{server.port}"


def webhook_url(server: Server) -> str:
    """Return where it finds the receiver of webhooks."""
    return f"http://{HOST}:{server.webhook_port}/label-studio"


def webhook_secret(server: Server) -> str:
    """Return what its webhooks carry in a header."""
    return made_once(server.secrets, _WEBHOOK_SECRET)


def token(server: Server) -> str | None:
    """Return the token of Flywheel's account, once there is one."""
    file = server.secrets / _TOKEN
    return file.read_text() if file.exists() else None


def program(server: Server) -> Program:
    """Describe the server to the supervisor."""
    command = [
        *_command(server.cache), "--host", HOST, "--port", str(server.port),
        "--reach", f"{HOST}:{server.webhook_port}", "--token-days", str(server.token_days),
    ]  # fmt: skip
    return Program(
        name=NAME,
        command=tuple(command),
        ports=(server.port,),
        ready=partial(answers, f"{url(server)}/health/"),
        environment=_environment(server.folder)
        | {
            "SECRET_KEY": made_once(server.secrets, _KEY),
            "LABEL_STUDIO_USERNAME": EMAIL,
            "LABEL_STUDIO_PASSWORD": made_once(server.secrets, _PASSWORD),
        },
        directory=server.folder,
        wave=1,
        after_start=partial(renew_token, server),
    )


def prepare(server: Server, on_progress: Callable[[str], None] = lambda _: None) -> None:
    """Install the server and make its database, where they are missing."""
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    install_environment(NAME, server.cache, on_progress)
    database = server.folder / _DATABASE
    if not database.exists():
        copy_file(_template(server.cache, on_progress), database, private=True)


def renew_token(server: Server) -> str:
    """Return the token of Flywheel's account, a new one where the old one ends soon."""
    account = Account(url(server), EMAIL, made_once(server.secrets, _PASSWORD))
    return ensure_token(account, server.secrets, _TOKEN)


def _command(cache: Path) -> list[str]:
    script = Path(__file__).parents[2] / "label_studio" / "serve.py"
    # Isolated: neither our folders nor the user's may shadow a package of that environment.
    return [str(environment_programs(NAME, cache) / "python"), "-I", str(script)]


def _template(cache: Path, on_progress: Callable[[str], None]) -> Path:
    """Return an empty database of this version, which is made the first time."""
    environment = environment_programs(NAME, cache).parent
    template = environment.with_suffix(".sqlite3")
    try:
        with exclusive(environment.with_suffix(".lock")):
            if not template.exists():
                on_progress(
                    f"making the database of {NAME}, once: a minute, more on a busy machine"
                )
                _make_template(cache, template)
    except OSError as error:
        raise StorageError(
            f"Label Studio's database cannot be made in {cache}: {error}",
            next_step="free some space, or set FLYWHEEL_CACHE to another folder",
        ) from error
    return template


def _make_template(cache: Path, template: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="flywheel-label-studio-") as folder:
        environment = os.environ | _environment(Path(folder)) | {"SECRET_KEY": "none"}
        try:
            done = subprocess.run(  # noqa: S603 - our own script
                [*_command(cache), "--port", "0", "--migrate-only"],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                timeout=_MIGRATE_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"Label Studio's database was not made within {_MIGRATE_SECONDS / 60:.0f} minutes.",
                next_step="run the command again when the machine has less to do",
            ) from error
        made = Path(folder) / _DATABASE
        if done.returncode != 0 or not made.exists():
            raise UnavailableError(
                f"Label Studio's database could not be made:\n{done.stderr[-2000:]}",
                next_step="read the lines above",
            )
        copy_file(made, template)


def _environment(folder: Path) -> dict[str, str]:
    # With Label Studio's prefix, which wins over what the person's own shell may hold.
    values = {
        "BASE_DATA_DIR": str(folder.absolute()),
        "DJANGO_DB": "sqlite",
        "DATABASE_NAME": str(folder.absolute() / _DATABASE),
        "HOST": "",
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "CORS_ALLOW_ALL_ORIGINS": "false",
        "DEBUG": "false",
        # Asked for a package that the environment lacks, under continuous integration.
        "CI": "false",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "CONVERTER_DOWNLOAD_RESOURCES": "false",
        "ENABLE_LOCAL_FILES_STORAGE": "false",
        "LOCAL_FILES_SERVING_ENABLED": "false",
        "SSRF_PROTECTION_ENABLED": "true",
        "ML_BLOCK_LOCAL_IP": "true",
        # The usual list, less the one address of the receiver; `--reach` narrows it to the port.
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": ",".join(_all_but(HOST)),
    }
    prefixed = {f"LABEL_STUDIO_{key}": value for key, value in values.items()}
    return prefixed | {"LOG_LEVEL": "WARNING", "NO_PROXY": "*", "no_proxy": "*"}


def _all_but(address: str) -> list[str]:
    excluded = ipaddress.ip_network(address)
    networks = []
    for text in _BANNED:
        network = ipaddress.ip_network(text)
        if network.version == excluded.version and excluded.subnet_of(network):  # type: ignore[arg-type]
            networks += [str(part) for part in network.address_exclude(excluded)]  # type: ignore[arg-type]
        else:
            networks.append(text)
    return networks
