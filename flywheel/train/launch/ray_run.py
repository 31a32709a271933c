"""`RayRun`: one piece of work in the exchange, and the Ray jobs that it takes, one after the other.

A job is a lease: it is found again by a process that asks for the same work, and ends by itself when
none does. What the work is, and what it leaves, is the caller's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flywheel.errors import FlywheelError, UnavailableError
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_cluster import RayCluster
from flywheel.train.launch.ray_outcomes import from_ray
from flywheel.train.launch.ray_protocol import Lease, Outcome, forget_old_runs, outcome_path

__all__ = ["RayRun"]

_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.5, 5.0
_BEATS = 6  # in the time of a lease
_LONGEST_BEAT_SECONDS = 60.0
_STOP_SECONDS = 45.0
_END_SECONDS = 10.0  # for Ray to notice the end of a job that has told its outcome
_QUEUE_SECONDS = 15.0
_KEPT_SECONDS = 14 * 86_400  # rows of abandoned work


@dataclass(frozen=True)
class RayRun:
    """Find, start and follow the jobs of one piece of work.

    Args:
        cluster: where they run.
        exchange: holds the work's folder ``path``.
        name: of the work; its jobs are numbered.
        lease_seconds: How long a job continues when no process asks for it.
        patience_seconds: How long a cluster that does not answer is waited for.
        hand_over: puts into the exchange what a job needs, before one is started.
        submit: starts the job of this id.
        is_done: whether the result is there.
        read_news: takes what the job has left so far; returns whether there was any.
        on_notice: given a sentence for the person who waits.
    """

    cluster: RayCluster
    exchange: Exchange
    name: str
    lease_seconds: float
    patience_seconds: float
    hand_over: Callable[[], None]
    submit: Callable[[str], None]
    is_done: Callable[[], bool]
    read_news: Callable[[], bool]
    on_notice: Callable[[str], Any]

    @property
    def path(self) -> str:
        """Folder of the work in the exchange."""
        return f"runs/{self.name}"

    def run_job(self) -> Outcome:
        """Find the job that runs or start one, follow it to its end and return its outcome.

        Raises:
            UnavailableError: the cluster does not answer, or has no worker for it.
        """
        lease = self._find_or_submit()
        try:
            return self._follow(lease)
        except FlywheelError:
            raise
        except BaseException:
            # Cancelled, or the listener failed: nothing waits for the job any more.
            self.cluster.stop(lease.submission, seconds=_STOP_SECONDS)
            raise

    def claim(self) -> None:
        """Say that the work is asked for: without a lease its folder would not go with the old ones."""
        lease = self._lease()
        self._beat(lease.number if lease else 0, lease.beat if lease else 0)

    def stop(self) -> None:
        """Stop the job of an earlier call, which writes into the work's folder as long as it runs."""
        lease = self._lease()
        state = None if lease is None else self.cluster.state(lease.submission)
        if lease is not None and state is not None and state.open:
            self.cluster.stop(lease.submission, seconds=_STOP_SECONDS)

    def _find_or_submit(self) -> Lease:
        lease = self._lease()
        number = lease.number if lease else 1
        while (state := self.cluster.state(self._submission(number))) is not None:
            if state.open or (state.succeeded and self.is_done()):
                self.on_notice(
                    f"Goes on with the job {self._submission(number)}: {self.cluster.url}"
                )
                return self._beat(number, lease.beat if lease else 0)
            number += 1
        if lease and lease.number == number:
            number += 1  # the cluster has forgotten it, but its worker may not have
        lease = self._beat(number, 0)
        forget_old_runs(self.exchange, before=time.time() - _KEPT_SECONDS)
        self.hand_over()
        self.submit(lease.submission)
        self.on_notice(f"Submitted the job {lease.submission}: {self.cluster.url}")
        return lease

    def _submission(self, number: int) -> str:
        return f"flywheel-{self.name}-{number}"

    def _lease(self) -> Lease | None:
        lease = self.exchange.read_json(f"{self.path}/lease.json")
        return None if lease is None else Lease.model_validate(lease)

    def _beat(self, number: int, beat: int) -> Lease:
        lease = Lease(
            submission=self._submission(number),
            number=number,
            beat=beat + 1,
            asked_at=time.time(),
        )
        self.exchange.write_json(f"{self.path}/lease.json", lease.model_dump())
        return lease

    def _follow(self, lease: Lease) -> Outcome:
        pause = min(self.lease_seconds / _BEATS, _LONGEST_BEAT_SECONDS)
        begun = answered = beaten = news = time.monotonic()
        waits = False
        while True:
            outcome = self._outcome(lease)
            has_progress = self.read_news()
            if outcome is not None:
                self.cluster.wait(lease.submission, seconds=_END_SECONDS)
                return outcome
            now = time.monotonic()
            news = now if has_progress else news
            if now - beaten > pause:
                lease, beaten = self._beat(lease.number, lease.beat), now
            try:
                state = self.cluster.state(lease.submission)
                answered = now
            except UnavailableError:
                if now - answered > self.patience_seconds:
                    raise
            else:
                if state is None or state.over:
                    self.read_news()
                    return self._outcome(lease) or from_ray(lease, state)
                if state.waiting and not waits and now - begun > _QUEUE_SECONDS:
                    waits = True
                    self.on_notice(f"Waits for a worker with {self.cluster.wanted}.")
            # Often while something happens, seldom in a training of hours.
            quiet = min(_POLL_SECONDS + (now - news) / 60, _LONGEST_POLL_SECONDS)
            time.sleep(min(quiet, pause))

    def _outcome(self, lease: Lease) -> Outcome | None:
        outcome = self.exchange.read_json(f"{self.path}/{outcome_path(lease.submission)}")
        return None if outcome is None else Outcome.model_validate(outcome)
