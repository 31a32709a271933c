"""`RouteSnapshot` and `RouteTable`: which release answers a request, by one reading of the route table.

A request takes one snapshot and uses it from start to end. Who belongs to a canary follows from a
keyed hash of the workload, the client and the person, salted with the release: the same person stays
in it while its share grows, and the next canary picks other people.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

from flywheel.errors import FlywheelError
from flywheel.events.schema import Route as RouteName
from flywheel.io.keyed_hash import keyed_hash
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.state.routes import Route

__all__ = ["Arm", "Portion", "RouteSnapshot", "RouteTable"]

_RENEWAL_SECONDS = 0.5
_LOAD_PAUSE_SECONDS = 5.0
_DIGITS = 13  # 52 bits: every hash is a float of its own


@dataclass(frozen=True)
class Arm:
    """The release that answers a request, and why this one.

    ``answer_room`` multiplies the longest answer that the workload allows: a retry of an answer
    that was cut off has more.
    """

    route: RouteName
    release: str
    answer_room: int = 1


@dataclass(frozen=True)
class Portion:
    """A release beside the champion and the share, in [0, 1], of what it gets."""

    release: str
    share: float


@dataclass(frozen=True)
class RouteSnapshot:
    """The routes of a workload at one moment."""

    champion: str = BASE_RELEASE
    canary: Portion | None = None
    shadow: Portion | None = None

    @classmethod
    def of(cls, routes: Iterable[Route]) -> "RouteSnapshot":
        """Return the snapshot of a workload's rows of the route table."""
        rows = {route.route: route for route in routes}
        champion = rows.get("champion")
        return cls(
            champion.release if champion else BASE_RELEASE,
            _portion(rows.get("canary")),
            _portion(rows.get("shadow")),
        )

    @property
    def releases(self) -> frozenset[str]:
        """Every release that is named."""
        beside = (self.canary, self.shadow)
        return frozenset({self.champion, *(portion.release for portion in beside if portion)})

    def of_loaded(self, loaded: Iterable[str]) -> "RouteSnapshot":
        """Return the snapshot without a canary or shadow that is not loaded."""
        names = set(loaded)
        snapshot = self
        if self.canary and self.canary.release not in names:
            snapshot = replace(snapshot, canary=None)
        if self.shadow and self.shadow.release not in names:
            snapshot = replace(snapshot, shadow=None)
        return snapshot

    def assign(self, workload_id: str, unit: str, hash_key: str) -> Arm:
        """Return the arm of a unit: a person, a conversation or, without both, one request."""
        if self.canary and _is_in("canary", self.canary, f"{workload_id}\x1f{unit}", hash_key):
            return Arm("canary", self.canary.release)
        return Arm("champion", self.champion)

    def shadow_release(self, inference_id: str, hash_key: str) -> str | None:
        """Return the release that gets a copy of a request; None where it is not in the share."""
        if self.shadow and _is_in("shadow", self.shadow, inference_id, hash_key):
            return self.shadow.release
        return None


def _portion(route: Route | None) -> Portion | None:
    return Portion(route.release, route.weight) if route and route.weight > 0 else None


def _is_in(purpose: str, portion: Portion, unit: str, hash_key: str) -> bool:
    digest = keyed_hash(purpose, f"{portion.release}\x1f{unit}", hash_key)
    place: float = int(digest[:_DIGITS], 16) / 16**_DIGITS
    return place < portion.share


class RouteTable:
    """Snapshots of every workload, renewed by a thread of its own twice a second.

    A canary or shadow takes part once ``load`` has loaded it into this process's model server; the
    champion takes part at once, whoever asks it loads it. While the table cannot be read, requests
    are answered by the newest snapshot.

    Args:
        read: returns the rows of the route table, ordered by workload.
        load: loads one release of a workload where the model server does not have it.
    """

    def __init__(
        self, read: Callable[[], Iterable[Route]], load: Callable[[str, str], None]
    ) -> None:
        self._read = read
        self._load = load
        self._lock = threading.Lock()
        self._rows: Mapping[str, RouteSnapshot] = {}
        self._snapshots: Mapping[str, RouteSnapshot] = {}
        self._loaded: set[str] = {BASE_RELEASE}
        self._loading: set[str] = set()
        self._next_load_at: dict[str, float] = {}
        self._load_failures: dict[str, str] = {}
        self._failure: str | None = None
        self._end = threading.Event()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="route-loader")
        self._thread = threading.Thread(target=self._run, name="routes", daemon=True)

    def of(self, workload_id: str) -> RouteSnapshot:
        """Return the newest snapshot of a workload; the base answers where no route is stated."""
        return self._snapshots.get(workload_id, RouteSnapshot())

    @property
    def failure(self) -> str | None:
        """Why the table could not be read last; None while it can be."""
        return self._failure

    @property
    def load_failures(self) -> Mapping[str, str]:
        """Why releases beside the champion could not be loaded, by release."""
        return dict(self._load_failures)

    @property
    def missing(self) -> frozenset[str]:
        """Releases that the table names and that do not take part yet, since they are not loaded."""
        return frozenset(
            release
            for workload_id, snapshot in self._rows.items()
            for release in snapshot.releases - self.of(workload_id).releases
        )

    def start(self) -> None:
        """Read the table and go on reading it."""
        self.renew()
        self._thread.start()

    def close(self) -> None:
        """End the threads; a release that is being loaded is loaded to its end."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._loader.shutdown()

    def renew(self) -> None:
        """Read the table once and have loaded what it names for the first time."""
        try:
            rows = sorted(self._read(), key=lambda route: route.workload_id)
        except FlywheelError as error:
            self._failure = error.message
            return
        self._failure = None
        by_workload = groupby(rows, key=lambda route: route.workload_id)
        with self._lock:
            self._rows = {name: RouteSnapshot.of(routes) for name, routes in by_workload}
            self._adopt()
            for workload_id, snapshot in self._rows.items():
                for release in snapshot.releases - {snapshot.champion} - self._loaded:
                    self._load_later(workload_id, release)

    def report_unloaded(self, release: str) -> None:
        """Leave out a release that the model server does not have until it is loaded again."""
        with self._lock:
            self._loaded.discard(release)
            self._adopt()

    def _adopt(self) -> None:
        named = {name for snapshot in self._rows.values() for name in snapshot.releases}
        # A release that answers as the champion is loaded for every other route as well.
        champions = {snapshot.champion for snapshot in self._snapshots.values()}
        self._loaded = ((self._loaded | champions) & named) | {BASE_RELEASE}
        self._load_failures = {
            name: reason for name, reason in self._load_failures.items() if name in named
        }
        self._snapshots = {
            name: snapshot.of_loaded(self._loaded) for name, snapshot in self._rows.items()
        }

    def _load_later(self, workload_id: str, release: str) -> None:
        due = time.monotonic() >= self._next_load_at.get(release, 0.0)
        if due and release not in self._loading:
            self._loading.add(release)
            self._loader.submit(self._load_now, workload_id, release)

    def _load_now(self, workload_id: str, release: str) -> None:
        failure: str | None = None
        try:
            self._load(workload_id, release)
        except FlywheelError as error:
            failure = error.message
        with self._lock:
            self._loading.discard(release)
            if failure is None:
                self._load_failures.pop(release, None)
                self._next_load_at.pop(release, None)
                self._loaded.add(release)
                self._adopt()
            else:
                self._load_failures[release] = failure
                self._next_load_at[release] = time.monotonic() + _LOAD_PAUSE_SECONDS

    def _run(self) -> None:
        while not self._end.wait(_RENEWAL_SECONDS):
            self.renew()
