"""Why a job ended: told by the trainer's exit code, by its signal, or by Ray alone."""

import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.ports.train_launcher import (
    EXIT_BAD_DATA,
    EXIT_BAD_SPEC,
    EXIT_DISK_FULL,
    EXIT_INTERRUPTED,
    EXIT_OUT_OF_MEMORY,
)
from flywheel.train.launch import ray_cluster, ray_job, ray_outcomes
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_cluster import JobState, RayCluster
from flywheel.train.launch.ray_protocol import Lease, forget_old_runs

LEASE = Lease(submission="flywheel-parts-2026Q1-1-1-0-1", number=1, beat=1, asked_at=0.0)
# Ray's own words for a worker process that has vanished, which name memory as one guess of three.
VANISHED = (
    "Job supervisor actor died: The actor died unexpectedly before finishing this task. Some common "
    "causes include: (1) the process was killed by the OOM killer due to high memory usage, (2) ray "
    "stop --force was called, or (3) the worker crashed unexpectedly due to SIGSEGV"
)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "succeeded"),
        (EXIT_BAD_SPEC, "bad_spec"),
        (EXIT_BAD_DATA, "bad_data"),
        (EXIT_OUT_OF_MEMORY, "out_of_memory"),
        (EXIT_DISK_FULL, "disk_full"),
        (EXIT_INTERRUPTED, "interrupted"),
        (1, "bug"),
        (-9, "killed"),
        (-15, "killed"),
        (-11, "bug"),
    ],
)
def test_an_exit_code_has_one_reason(code, reason):
    """Each way in which the trainer ends is told from the others."""
    assert ray_job._told(code, "the log's end", kernel=False)[0] == reason


def test_a_kill_by_the_kernel_is_out_of_memory():
    """The same signal, but the kernel has counted one more process that it killed for memory."""
    assert ray_job._told(-9, "", kernel=True)[0] == "out_of_memory"


@pytest.mark.parametrize(
    ("status", "error", "message", "reason"),
    [
        ("FAILED", "JOB_SUPERVISOR_ACTOR_DIED", VANISHED, "lost"),
        (
            "FAILED",
            "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
            "Unexpected error occurred: 1 worker(s) were killed due to the node running low on memory.",
            "out_of_memory",
        ),
        ("FAILED", "JOB_ENTRYPOINT_COMMAND_ERROR", "failed with exit code 137", "lost"),
        ("STOPPED", "", "Job was intentionally stopped.", "interrupted"),
        ("SUCCEEDED", "", "Job finished successfully.", "succeeded"),
    ],
)
def test_ray_alone_tells_why(status, error, message, reason):
    """A job that could not leave its outcome is judged by what Ray says of it."""
    assert ray_outcomes.from_ray(LEASE, JobState(status, message, error)).reason == reason


def test_a_forgotten_job_is_lost():
    """A cluster that was started anew knows nothing."""
    assert ray_outcomes.from_ray(LEASE, None).reason == "lost"


def test_no_worker_is_no_fault_of_the_training():
    """It waits for a worker, and says which settings choose one."""
    state = JobState("FAILED", "timeout", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT")
    with pytest.raises(UnavailableError, match="FLYWHEEL_TRAIN_RESOURCE"):
        ray_outcomes.from_ray(LEASE, state)


def test_every_reason_has_an_error():
    """Nothing that a job can say is left without an answer."""
    reasons = set(ray_outcomes.Reason.__args__) - {"succeeded"}
    assert set(ray_outcomes.ERRORS) == reasons


def test_what_is_wanted_is_said():
    """The notice names what a worker must have."""
    assert RayCluster("http://x", resource="trainer", gpus=1).wanted == "1 GPU and 1 trainer"
    assert RayCluster("http://x").wanted == "room"


def test_a_refused_client_is_told_to_show_a_token():
    """A wrong token is a setting to correct, not a service to wait for."""
    with (
        pytest.raises(ConfigurationError, match="FLYWHEEL_RAY_TOKEN"),
        ray_cluster._calls("http://x"),
    ):
        raise RuntimeError("Request failed with status code 401: Unauthorized")


def test_runs_that_nobody_went_on_with_are_forgotten(tmp_path):
    """The rows in the exchange do not outlive the interest in them."""
    exchange = Exchange(tmp_path.as_uri())
    for name, asked_at in (("old", 100.0), ("new", 300.0)):
        lease = LEASE.model_copy(update={"asked_at": asked_at})
        exchange.write_json(f"runs/{name}/lease.json", lease.model_dump())
        exchange.write(f"runs/{name}/dataset/train.jsonl", b"{}")
    exchange.write("runs/being_made/dataset/train.jsonl", b"{}")
    assert forget_old_runs(exchange, before=200.0) == ["old"]
    assert exchange.names("runs") == ["being_made", "new"]
