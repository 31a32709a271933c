"""Files of a run in MLflow: brought there, and read back to see that they are what was sent."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import IntegrityError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["upload_adapter", "upload_file", "upload_run", "upload_texts"]

_CHUNK = 1 << 20


def upload_file(client: "MlflowClient", run_id: str, file: Path) -> None:
    """Bring one file to the top of a run and verify it there."""
    client.log_artifact(run_id, str(file))
    _verify(client, run_id, {file.name: _digest(file)})


def upload_adapter(
    client: "MlflowClient", run_id: str, adapter: Path, texts: Mapping[str, str]
) -> None:
    """Bring an adapter folder and texts beside it to a run and verify them there.

    Raises:
        IntegrityError: what MLflow returns is not what was sent.
    """
    client.log_artifacts(run_id, str(adapter), "adapter")
    _verify(
        client, run_id, {f"adapter/{name}": digest for name, digest in _digests(adapter).items()}
    )
    upload_texts(client, run_id, texts)


def upload_texts(client: "MlflowClient", run_id: str, texts: Mapping[str, str]) -> None:
    """Write texts beside a run's adapter and verify them there; IntegrityError as above."""
    for name, text in texts.items():
        client.log_text(run_id, text, name)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    _verify(client, run_id, digests)


def upload_run(client: "MlflowClient", run_id: str, folder: Path) -> None:
    """Bring all files of a run, as they were downloaded from another place, and verify them."""
    client.log_artifacts(run_id, str(folder))
    _verify(client, run_id, _digests(folder))


def _digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _verify(client: "MlflowClient", run_id: str, expected: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="flywheel-uploads-") as folder:
        for path, digest in expected.items():
            if _digest(Path(client.download_artifacts(run_id, path, folder))) != digest:
                raise IntegrityError(
                    f"MLflow's copy of {path} in run {run_id} is not what was sent.",
                    next_step="run the command again: it sends the files again; if that fails too, "
                    "look at the server's artifact store",
                )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
