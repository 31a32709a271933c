"""`FleetModelServer`: several servers of one base model as one ModelServer.

Servers of other bases may be among the addresses: they get neither releases nor requests here, and
are asked again each time, since an address may be given to another base. A request goes to the least
busy replica that has its release, and to the next one where that one is away. A release is loaded on
every replica that answers before ``load`` returns. A replica that comes back, or is new, is asked for
a release only once it has it: every second each replica is asked what it holds, and what this process
has loaded elsewhere is loaded there too.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flywheel.errors import (
    FlywheelError,
    IntegrityError,
    NotFoundError,
    TerminalError,
    UnavailableError,
    UnservedBaseError,
)
from flywheel.ports.model_server import BASE_RELEASE, Answer, ModelServer, Shots
from flywheel.workload.answers import AnswerCodec

__all__ = ["FleetModelServer"]

_NOTHING: frozenset[str] = frozenset()
_ANOTHER_BASE = (UnservedBaseError, IntegrityError)


@dataclass
class _Replica:
    # `releases` is empty while the replica is away or serves another base, or before it was asked.
    name: str
    server: ModelServer
    close: Callable[[], None]
    releases: frozenset[str] = _NOTHING
    busy: int = 0
    answered: int = 0
    failure: FlywheelError | None = None

    @property
    def is_present(self) -> bool:
        return bool(self.releases)

    @property
    def is_of_another_base(self) -> bool:
        return isinstance(self.failure, _ANOTHER_BASE)

    def lose(self, failure: FlywheelError) -> None:
        self.releases, self.failure = _NOTHING, failure


class FleetModelServer:
    """Serve one base model from several replicas.

    Args:
        servers: the server of each replica, by the address that messages name.
        close: closes one of them.
        probe_seconds: how often replicas are asked what they hold.
    """

    def __init__(
        self,
        servers: Mapping[str, ModelServer],
        *,
        close: Callable[[ModelServer], None] = lambda _: None,
        probe_seconds: float = 1.0,
    ) -> None:
        self._replicas = [
            _Replica(name, server, lambda server=server: close(server))  # type: ignore[misc]
            for name, server in servers.items()
        ]
        self._probe_seconds = probe_seconds
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._adapters: dict[str, Path] = {}
        self._unloaded: set[str] = set()
        self._end = threading.Event()
        self._prober: threading.Thread | None = None

    @property
    def away(self) -> Mapping[str, str]:
        """Why replicas of this base get no requests, by address."""
        return {
            one.name: "not asked yet" if one.failure is None else one.failure.message
            for one in self._replicas
            if not one.is_present and not one.is_of_another_base
        }

    @property
    def lacking(self) -> frozenset[str]:
        """Releases that some replicas have and others that answer have not."""
        held = [one.releases for one in self._present()]
        return frozenset().union(*held) - frozenset.intersection(*held) if held else _NOTHING

    def load(self, release: str, adapter: Path) -> None:
        """Load a release on every replica that answers; one that is away gets it when it is back.

        Where a replica refuses it, those that took it before let go of it again.
        """
        with self._loading:
            self._probe()
            taken: list[_Replica] = []
            try:
                for replica in self._present():
                    had = release in replica.releases
                    if self._load_on(replica, release, adapter) and not had:
                        taken.append(replica)
            except FlywheelError:
                for replica in taken:
                    self._unload_from(replica, release)
                raise
            if not any(release in one.releases for one in self._replicas):
                raise self._none_answers()
            self._adapters[release] = adapter
            self._unloaded.discard(release)

    def unload(self, release: str) -> None:
        """Forget a retired release on every replica; one that is away when it is back."""
        with self._loading:
            self._adapters.pop(release, None)
            self._unloaded.add(release)
            for replica in self._present():
                self._unload_from(replica, release)

    def releases(self) -> tuple[str, ...]:
        """Name what every replica that answers has, ``base`` included."""
        with self._loading:
            self._probe()
            held = [one.releases for one in self._present()]
        if not held:
            raise self._none_answers()
        return (BASE_RELEASE, *sorted(frozenset.intersection(*held) - {BASE_RELEASE}))

    def answer(
        self,
        release: str,
        codec: AnswerCodec,
        inputs: Sequence[str],
        *,
        shots: Shots = (),
    ) -> list[Answer]:
        """Answer each input with the least busy replica that has the release.

        Raises:
            NotFoundError: no replica has it.
            UnavailableError: every replica that has it is away.
            UnservedBaseError: every address answers, and none serves the base.
        """
        self._begin()
        tried: set[str] = set()
        failure: FlywheelError | None = None
        while (replica := self._choose(release, tried)) is not None:
            tried.add(replica.name)
            try:
                with self._counted(replica):
                    return replica.server.answer(release, codec, inputs, shots=shots)
            except NotFoundError as error:
                failure = error
                replica.releases -= {release}
            except (UnavailableError, UnservedBaseError) as error:
                # Away, or restarted, empty or with another base: what it has is asked again before
                # the next request.
                failure = error
                replica.lose(error)
        raise failure or self._missing(release)

    def close(self) -> None:
        """End the thread and close every replica's server."""
        self._end.set()
        if self._prober is not None:
            self._prober.join()
        for replica in self._replicas:
            replica.close()

    def _begin(self) -> None:
        # Commands that answer nothing need no thread.
        if self._prober is not None:
            return
        with self._loading:
            if self._prober is None:
                self._probe()
                self._prober = threading.Thread(target=self._run, name="fleet", daemon=True)
                self._prober.start()

    def _run(self) -> None:
        while not self._end.wait(self._probe_seconds):
            with self._loading:
                self._probe()
                self._mend()

    def _probe(self) -> None:
        for replica in self._replicas:
            try:
                replica.releases = frozenset(replica.server.releases())
                replica.failure = None
            except FlywheelError as error:
                replica.lose(error)  # it stops neither the others nor the thread

    def _mend(self) -> None:
        # What this process loaded, on replicas that came back without it; what it unloaded, on
        # those that came back with it. A replica that fails at it stays as it is until the next time.
        for replica in self._present():
            for release in sorted(self._unloaded & replica.releases):
                self._unload_from(replica, release)
            for release, adapter in self._adapters.items():
                if release not in replica.releases:
                    try:
                        self._load_on(replica, release, adapter)
                    except FlywheelError as error:
                        replica.failure = error

    def _load_on(self, replica: _Replica, release: str, adapter: Path) -> bool:
        try:
            replica.server.load(release, adapter)
        except (UnavailableError, UnservedBaseError) as error:
            replica.lose(error)
            return False
        replica.releases |= {release}
        return True

    def _unload_from(self, replica: _Replica, release: str) -> None:
        replica.releases -= {release}
        try:
            replica.server.unload(release)
        except FlywheelError as error:  # such as of its token, which must not end the thread
            replica.lose(error)

    def _present(self) -> list[_Replica]:
        return [one for one in self._replicas if one.is_present]

    def _choose(self, release: str, tried: set[str]) -> _Replica | None:
        with self._lock:
            ready = [
                one for one in self._replicas if release in one.releases and one.name not in tried
            ]
            # Of equally busy ones that which answered least, so that all of them are used.
            return min(ready, key=lambda one: (one.busy, one.answered), default=None)

    @contextmanager
    def _counted(self, replica: _Replica) -> Iterator[None]:
        with self._lock:
            replica.busy += 1
            replica.answered += 1
        try:
            yield
        finally:
            with self._lock:
                replica.busy -= 1

    def _missing(self, release: str) -> FlywheelError:
        if not self._present():
            return self._none_answers()
        return NotFoundError(
            f"No release {release} is loaded on any of {len(self._replicas)} replicas.",
            next_step="load it with `flywheel serving`",
        )

    def _none_answers(self) -> FlywheelError:
        refusing = [one.failure for one in self._replicas if _is_refusal(one.failure)]
        if refusing and refusing[0] is not None:
            return refusing[0]
        elsewhere = [one.failure for one in self._replicas if one.is_of_another_base]
        if len(elsewhere) == len(self._replicas):
            messages = " ".join(error.message for error in elsewhere if error is not None)
            return UnservedBaseError(
                f"None of {len(self._replicas)} addresses serves the base model. {messages}",
                next_step="" if elsewhere[0] is None else elsewhere[0].next_step,
            )
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.away.items())
        others = f"; {len(elsewhere)} more serve another base" if elsewhere else ""
        return UnavailableError(
            f"None of {len(self.away)} replicas answers ({reasons}{others}).",
            next_step="start them, or correct FLYWHEEL_VLLM_URL",
        )


def _is_refusal(failure: FlywheelError | None) -> bool:
    # Such as of a token: a person must act, and waiting brings nothing.
    return isinstance(failure, TerminalError) and not isinstance(failure, _ANOTHER_BASE)
