"""The few calls to Ray's job API that a launcher makes, and Ray's words for how a job ended."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flywheel.errors import ConfigurationError, FlywheelError, UnavailableError
from flywheel.io.patience import Deadline, poll

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

__all__ = ["TRAINER", "JobState", "RayCluster"]

TRAINER = "flywheel.train.launch.ray_job"
_SOME_CPU = 0.01

_POLL_SECONDS = 0.5
# Between SIGTERM, at which the trainer saves a checkpoint, and SIGKILL.
_STOP_SECONDS = 40
_MESSAGE = 600
# Of the errors that are Ray's, and not the log of a job that failed by itself.
_DIED = frozenset({"JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE"})
# Not "OOM killer": Ray names that among the guesses of every lost worker.
_MEMORY_WORDS = ("running low on memory", "memory pressure")


@dataclass(frozen=True)
class JobState:
    """What Ray says of a job."""

    status: str
    message: str
    error: str

    @property
    def open(self) -> bool:
        """It waits or runs."""
        return self.status in {"PENDING", "RUNNING"}

    @property
    def over(self) -> bool:
        """It has ended, one way or the other."""
        return not self.open

    @property
    def waiting(self) -> bool:
        """It has no worker yet."""
        return self.status == "PENDING"

    @property
    def succeeded(self) -> bool:
        """Its exit code was zero."""
        return self.status == "SUCCEEDED"

    @property
    def stopped(self) -> bool:
        """It was stopped by hand."""
        return self.status == "STOPPED"

    @property
    def unplaced(self) -> bool:
        """No worker took it."""
        return self.error in {
            "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
            "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
        }

    @property
    def out_of_memory(self) -> bool:
        """Ray ended it, to save the machine."""
        message = self.message.lower()
        return self.error in _DIED and any(words in message for words in _MEMORY_WORDS)


@dataclass(frozen=True)
class RayCluster:
    """A cluster at its dashboard's URL, and what one training reserves of a worker there.

    ``python`` is the interpreter on the workers, in whose environment Flywheel is installed.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    resource: str | None = None
    gpus: float = 0
    memory_bytes: int | None = None
    python: str = "python"

    @property
    def wanted(self) -> str:
        """Say what a worker must have free."""
        parts = [
            f"{self.gpus:g} GPU" if self.gpus else "",
            f"1 {self.resource}" * bool(self.resource),
        ]
        return " and ".join(filter(None, parts)) or "room"

    def version(self) -> str:
        """Return the version of Ray that answers."""
        with _calls(self.url):
            return str(self._client.get_version())

    def state(self, submission: str) -> JobState | None:
        """Return what Ray says of a job; None when it knows none of that id."""
        with _calls(self.url):
            try:
                info: Any = self._client.get_job_info(submission)
            except RuntimeError as error:
                if "does not exist" in str(error):
                    return None
                raise
        return JobState(
            status=str(info.status),
            message=_short(info.message or ""),
            error=str(getattr(info.error_type, "value", info.error_type) or ""),
        )

    def submit(
        self,
        submission: str,
        arguments: Sequence[str],
        *,
        program: str = TRAINER,
        workers: int | None = 1,
    ) -> None:
        """Start a job; one that is there already is as good.

        Args:
            submission: Ray's id of the job, which is the program's last argument.
            arguments: those before it.
            program: module that runs on a worker.
            workers: so many workers' GPUs are the program's own; None: it takes no worker for
                itself and asks Ray for its workers.
        """
        command = [self.python, "-m", program, *arguments, submission]
        own = workers is not None
        with _calls(self.url):
            try:
                self._client.submit_job(
                    entrypoint=shlex.join(command),
                    submission_id=submission,
                    # A head has no CPU: what asks for a little of one runs on a worker.
                    entrypoint_num_cpus=None if own else _SOME_CPU,
                    entrypoint_num_gpus=self.gpus * (workers or 0) or None,
                    entrypoint_memory=self.memory_bytes if own else None,
                    entrypoint_resources={self.resource: 1} if own and self.resource else None,
                    runtime_env={"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS)}},
                )
            except RuntimeError as error:
                if "already exists" not in str(error):
                    raise

    def stop(self, submission: str, *, seconds: float) -> None:
        """Stop a job and wait until it has ended; a cluster that is away is left alone."""
        try:
            with _calls(self.url):
                self._client.stop_job(submission)
        except UnavailableError:
            return  # its lease will end it
        self.wait(submission, seconds=seconds)

    def wait(self, submission: str, *, seconds: float) -> None:
        """Wait until a job has ended, but not longer than so many seconds."""

        def has_ended() -> bool:
            try:
                state = self.state(submission)
            except UnavailableError:
                return True  # a cluster that is away is not waited for
            return state is None or state.over

        poll(has_ended, Deadline(seconds), pause=_POLL_SECONDS)

    @cached_property
    def _client(self) -> "JobSubmissionClient":
        from ray.job_submission import JobSubmissionClient

        headers = {"Authorization": f"Bearer {self.token}"} if self.token else None
        return JobSubmissionClient(self.url, headers=headers)


def _short(message: str) -> str:
    text = message.strip()
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE // 2]} … {text[-_MESSAGE // 2 :]}"


@contextmanager
def _calls(url: str) -> Iterator[None]:
    try:
        yield
    except FlywheelError:
        raise
    except ImportError as error:
        raise ConfigurationError(
            f"Ray is not installed here: {error}", next_step="install the extra [ray]"
        ) from error
    except Exception as error:  # Ray's client raises what requests does, and plain RuntimeErrors
        message = _short(str(error))
        if any(word in message for word in ("401", "403", "Unauthorized", "authentication")):
            raise ConfigurationError(
                f"Ray at {url} does not let this client in: {message}",
                next_step="set FLYWHEEL_RAY_TOKEN to the cluster's token",
            ) from error
        raise UnavailableError(
            f"Ray does not answer at {url}: {message}",
            next_step="start it (`flywheel services up ray`), or correct FLYWHEEL_RAY_ADDRESS",
        ) from error
