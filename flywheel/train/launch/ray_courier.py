"""What leaves a worker while it trains: progress, log, and each checkpoint once it is complete."""

import os
import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from flywheel.errors import TransientError
from flywheel.train.checkpoints import FOLDER, last_complete
from flywheel.train.launch.exchange import Exchange
from flywheel.train.reporting import PROGRESS

__all__ = ["LOG", "Courier"]

LOG = "train.log"
_SECONDS = 1.0
_KEPT = 2


class Courier:
    """A thread that hands out what is new; a store that is away for a while is asked again."""

    def __init__(self, exchange: Exchange, run: str, out: Path) -> None:
        self._exchange, self._run, self._out = exchange, run, out
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
        self._sizes: dict[str, int] = {}
        first = last_complete(out)
        self._checkpoint = first.name if first else ""

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
        for name in (PROGRESS, LOG):
            path = self._out / name
            content = path.read_bytes() if path.exists() else b""
            if len(content) != self._sizes.get(name, 0):
                self._exchange.write(f"{self._run}/{name}", content)
                self._sizes[name] = len(content)
        found = last_complete(self._out)
        if found is not None and found.name != self._checkpoint:
            self._put(found)

    def _put(self, checkpoint: Path) -> None:
        folder = f"{self._run}/{FOLDER}"
        # The trainer removes older ones whenever it likes: what is handed out has links of its own.
        with tempfile.TemporaryDirectory(dir=self._out, prefix=".handing-") as name:
            linked = Path(name) / FOLDER / checkpoint.name
            try:
                shutil.copytree(checkpoint, linked, copy_function=os.link)
            except (FileNotFoundError, shutil.Error):
                return  # there is a newer one by now
            if last_complete(Path(name)) != linked:
                return
            self._exchange.put_folder(linked, f"{folder}/{checkpoint.name}")
        self._checkpoint = checkpoint.name
        print(f"{checkpoint.name} is in the exchange.", flush=True)  # noqa: T201 - (as above)
        names = [name for name in self._exchange.names(folder) if name[11:].isdigit()]
        for old in sorted(names, key=lambda name: int(name[11:]))[:-_KEPT]:
            self._exchange.remove(f"{folder}/{old}")
