"""`ERRORS` and `from_ray`: what the end of a training job means, as an error of ours with a next step."""

from flywheel.errors import (
    ConfigurationError,
    DataError,
    FlywheelError,
    InterruptedWorkError,
    OutOfMemoryError,
    TrainingError,
    UnavailableError,
)
from flywheel.train.launch.ray_cluster import JobState
from flywheel.train.launch.ray_protocol import Lease, Outcome, Reason

__all__ = ["AGAIN", "ERRORS", "from_ray"]

# What the next worker may do better.
AGAIN: frozenset[Reason] = frozenset({"abandoned", "killed", "lost"})
ERRORS: dict[Reason, tuple[type[FlywheelError], str]] = {
    "bad_spec": (ConfigurationError, "read the log and correct it"),
    "bad_data": (DataError, "build the dataset again"),
    "out_of_memory": (
        OutOfMemoryError,
        "lower training.batch_size or training.maximum_tokens, or use a larger worker",
    ),
    "disk_full": (UnavailableError, "make room on the worker; it resumes from its last checkpoint"),
    "took_too_long": (
        TrainingError,
        "raise training.timeout_seconds; it resumes from its last checkpoint",
    ),
    "interrupted": (InterruptedWorkError, "train again: it resumes from its last checkpoint"),
    "killed": (InterruptedWorkError, "train again: it resumes from its last complete checkpoint"),
    "abandoned": (InterruptedWorkError, "train again: it resumes from its last checkpoint"),
    "lost": (InterruptedWorkError, "train again: it resumes from its last complete checkpoint"),
    "bug": (TrainingError, "read the log"),
}


def from_ray(lease: Lease, state: JobState | None) -> Outcome:
    """Return the outcome of a job that left none, by what Ray says of it.

    Raises:
        UnavailableError: Ray found no worker for it.
    """
    reason: Reason = "lost"
    if state is None:
        detail = "Ray no longer has the job: its head was restarted."
    elif state.succeeded:
        reason, detail = "succeeded", state.message
    elif state.out_of_memory:
        reason, detail = (
            "out_of_memory",
            f"Ray ended the job because memory ran out: {state.message}",
        )
    elif state.stopped:
        reason, detail = "interrupted", "The job was stopped through Ray."
    elif state.unplaced:
        raise UnavailableError(
            f"Ray found no worker for the training: {state.message}",
            next_step="start a worker, or set FLYWHEEL_TRAIN_RESOURCE and FLYWHEEL_TRAIN_GPUS to "
            "what the workers have",
        )
    else:
        detail = f"The worker was lost: {state.message}"
    return Outcome(submission=lease.submission, reason=reason, detail=detail)
