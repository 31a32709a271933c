"""What leaves a worker while it trains, and what the next worker begins with.

Progress, log and what was learned about memory as they grow; each checkpoint once it is complete,
and what a first stage hands over to a second.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from flywheel.errors import IntegrityError, TransientError
from flywheel.io.atomic import write_bytes
from flywheel.train.checkpoints import FOLDERS, SUPERVISED, by_step, last_complete
from flywheel.train.launch.exchange import Exchange
from flywheel.train.memory import PLANS
from flywheel.train.reporting import PROGRESS
from flywheel.train.stages import RECORD

__all__ = ["LOG", "CheckpointUploader", "bring_back"]

LOG = "train.log"
_GROWING = (PROGRESS, LOG, PLANS)
_SECONDS = 1.0
_KEPT = 2


class CheckpointUploader:
    """A thread that hands out what is new; a store that is away for a while is asked again."""

    def __init__(self, exchange: Exchange, run: str, out: Path) -> None:
        self._exchange, self._run, self._out = exchange, run, out
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
        self._sizes: dict[str, int] = {}
        first = {name: last_complete(out, name) for name in FOLDERS}
        self._checkpoints = {name: path.name if path else "" for name, path in first.items()}
        self._handed_over = _is_handed_over(out)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        over = False
        while not over:
            over = self._over.wait(_SECONDS)
            try:
                self._hand_out()
            except TransientError as error:
                print(f"Not handed out yet: {error}", flush=True)  # noqa: T201 - Ray keeps it

    def _hand_out(self) -> None:
        for name in _GROWING:
            path = self._out / name
            content = path.read_bytes() if path.exists() else b""
            if len(content) != self._sizes.get(name, 0):
                self._exchange.write(f"{self._run}/{name}", content)
                self._sizes[name] = len(content)
        # Before the checkpoints of the second stage, which are of no use without it.
        if not self._handed_over and _is_handed_over(self._out):
            with self._linked(self._out / SUPERVISED, SUPERVISED) as linked:
                if linked is not None:
                    self._exchange.put_folder(linked, f"{self._run}/{SUPERVISED}")
                    self._handed_over = True
        for folder, uploaded in self._checkpoints.items():
            checkpoint = last_complete(self._out, folder)
            if checkpoint is not None and checkpoint.name != uploaded:
                self._put(checkpoint, folder)

    def _put(self, checkpoint: Path, folder: str) -> None:
        with self._linked(checkpoint, f"{folder}/{checkpoint.name}") as linked:
            if linked is None or last_complete(linked.parent.parent, folder) != linked:
                return
            self._exchange.put_folder(linked, f"{self._run}/{folder}/{checkpoint.name}")
        self._checkpoints[folder] = checkpoint.name
        print(f"{folder}/{checkpoint.name} is in the exchange.", flush=True)  # noqa: T201 - (as above)
        for old in by_step(self._exchange.names(f"{self._run}/{folder}"))[:-_KEPT]:
            self._exchange.remove(f"{self._run}/{folder}/{old}")

    @contextmanager
    def _linked(self, source: Path, path: str) -> Iterator[Path | None]:
        # The trainer removes older ones whenever it likes: what is handed out has links of its own.
        with tempfile.TemporaryDirectory(dir=self._out, prefix=".handing-") as name:
            linked = Path(name) / path
            try:
                shutil.copytree(source, linked, copy_function=os.link)
            except (FileNotFoundError, shutil.Error):
                yield None  # there is a newer one by now
            else:
                yield linked


def bring_back(exchange: Exchange, run: str, out: Path) -> None:
    """Fetch what earlier workers handed out; a checkpoint that is not whole is passed over."""
    for name in _GROWING:
        before = exchange.read(f"{run}/{name}")
        if before:
            write_bytes(out / name, before)
    if exchange.has_folder(f"{run}/{SUPERVISED}"):
        exchange.get_folder(f"{run}/{SUPERVISED}", out / SUPERVISED)
    for folder in FOLDERS:
        for name in reversed(by_step(exchange.names(f"{run}/{folder}"))):
            try:
                exchange.get_folder(f"{run}/{folder}/{name}", out / folder / name)
            except IntegrityError:
                continue  # the worker was lost while it was put there
            break


def _is_handed_over(out: Path) -> bool:
    return (out / SUPERVISED / RECORD).is_file()
