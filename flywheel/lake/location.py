"""`LakeLocation`: where a lake lies, and how Delta and DuckDB reach it.

A lake on a disk is a folder. One in an object store is a URL, and a folder of this machine holds
what only speeds this machine up or keeps its processes apart: locks and hashes of ids.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from flywheel.errors import FlywheelError, StorageError, UnavailableError
from flywheel.io.sqlite_file import can_write
from flywheel.lake.object_path import ObjectPath
from flywheel.lake.sql_text import quoted

__all__ = ["LakeLocation", "LakePath", "without_secrets"]

LakePath = Path | ObjectPath

# Values of these never reach a message. What a store answers may quote them.
_SECRETS = re.compile(r"^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)$")
_SHORTEST_SECRET = 4
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_ANSWER = re.compile(r"(<\?xml[^>]*>)?\s*<Error>.*?(</Error>|$)", re.DOTALL)
_PART_OF_ANSWER = re.compile(r"<(Code|Message)>(.*?)</\1>", re.DOTALL)
_UNREACHABLE = re.compile(
    r"NETWORK_CONNECTION|Connection refused|error sending request|connect error|timed? ?out"
    r"|SlowDown|ServiceUnavailable|InternalError|INTERNAL_FAILURE|\b50[0234]\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"ACCESS_DENIED|AccessDenied|403|SignatureDoesNotMatch|privileges|401")
_NO_BUCKET = re.compile(r"NoSuchBucket|NO_SUCH_BUCKET")


@dataclass(frozen=True)
class LakeLocation:
    """The root of the tables, and the folder of this machine beside it.

    Attributes:
        root: folder of the tables, or prefix in an object store.
        local: folder on a disk; for a lake on a disk, the root itself.
    """

    root: LakePath
    local: Path

    @classmethod
    def of(cls, root: Path | str, local: Path | None = None) -> "LakeLocation":
        """Return the location of a folder, or of the URL of an object store.

        Args:
            root: folder or URL.
            local: folder of this machine; an object store needs one.
        """
        if isinstance(root, str) and "://" in root:
            assert local is not None  # an object store keeps no locks
            return cls(ObjectPath.of(root), local.absolute())
        folder = Path(root).absolute()
        return cls(folder, folder)

    @property
    def is_remote(self) -> bool:
        """Whether the lake lies in an object store."""
        return isinstance(self.root, ObjectPath)

    @property
    def delta_options(self) -> dict[str, str] | None:
        """Options for Delta beside the variables of the environment, which it reads itself."""
        if not self.is_remote:
            return None
        # A commit is an object that must not be there yet. Of two writers the store refuses one.
        options = {"aws_conditional_put": "etag", "max_retries": "20", "retry_timeout": "15s"}
        if _endpoint().startswith("http://"):
            options["allow_http"] = "true"
        return options

    def can_write(self, path: LakePath) -> bool:
        """Return whether this process may write a file; of an object, only its attempt tells."""
        return can_write(path) if isinstance(path, Path) else True

    def prepare(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Let DuckDB read the lake's files, and return what reads them.

        Returns:
            ``disk``; ``httpfs``, DuckDB's own extension, where it is installed; or ``fsspec``.
        """
        root = self.root
        if not isinstance(root, ObjectPath):
            return "disk"
        if _load_httpfs(connection):
            return "httpfs"
        from flywheel.lake.shared_files import SharedFiles

        connection.register_filesystem(SharedFiles(root.filesystem))
        return "fsspec"

    def error(self, problem: str, error: Exception) -> FlywheelError:
        """Return the error of a store: one that may pass, where it does not answer.

        Args:
            problem: what could not be done, as the start of a sentence.
            error: as the library raised it.
        """
        text = without_secrets(str(error))
        if self.is_remote and _UNREACHABLE.search(text):
            return UnavailableError(
                f"{problem}: the object store of {self.root} does not answer: {text}",
                next_step="see that it runs; it is safe to try again",
            )
        if self.is_remote and _NO_BUCKET.search(text):
            return StorageError(
                f"{problem}: there is no such bucket in {self.root}.",
                next_step="make the bucket, or correct FLYWHEEL_LAKE",
            )
        if self.is_remote and _DENIED.search(text):
            return StorageError(
                f"{problem}: the object store refuses these credentials: {text}",
                next_step="look at AWS_ACCESS_KEY_ID and the like, and at the bucket's policy",
            )
        return StorageError(
            f"{problem}: {text}",
            next_step=f"look at {self.root}, and restore it from a backup if it is damaged",
        )


def without_secrets(text: str) -> str:
    """Return a library's message in one line, without the credentials of the environment."""
    text = _COLORS.sub("", text)
    text = _ANSWER.sub(lambda answer: _summary(answer[0]), text)
    for name, value in os.environ.items():
        if _SECRETS.match(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return " ".join(text.split())


def _summary(answer: str) -> str:
    # A refused signature is answered with the key id and with everything that was signed.
    return ": ".join(part[1].strip() for part in _PART_OF_ANSWER.findall(answer))


def _load_httpfs(connection: duckdb.DuckDBPyConnection) -> bool:
    # Only with keys in the environment: what else a machine may have, fsspec finds by itself.
    key, secret = (os.environ.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    if not key or not secret:
        return False
    try:
        connection.execute("LOAD httpfs")
    except duckdb.Error:
        return False  # not installed, or not for this version: nothing is fetched from the network
    endpoint = _endpoint()
    values = {
        "KEY_ID": key,
        "SECRET": secret,
        "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN"),
        "REGION": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    }
    if endpoint:
        values |= {"ENDPOINT": urlsplit(endpoint).netloc, "URL_STYLE": "path"}
        values["USE_SSL"] = "true" if endpoint.startswith("https") else "false"
    options = ", ".join(f"{name} {quoted(value)}" for name, value in values.items() if value)
    connection.execute(f"CREATE OR REPLACE SECRET lake (TYPE s3, {options})")
    return True


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
