"""`run_program` and `read_job`: what the programs of Ray jobs have in common, whatever their work is."""

import argparse
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

import flywheel
from flywheel.errors import ConfigurationError, FlywheelError, TransientError
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_protocol import Outcome, Reason, VersionedJob, outcome_path

__all__ = ["read_job", "run_program"]

_SAME_VERSION = "run the same version of Flywheel on the workers and beside Dagster"
JobT = TypeVar("JobT", bound=VersionedJob)


def run_program(
    module: str,
    arguments: Sequence[str] | None,
    do: Callable[[Exchange, str, str], tuple[Reason, str]],
) -> Reason:
    """Run a job: parse its arguments, do its work, and leave the outcome in the exchange.

    Args:
        module: name of the program.
        arguments: URL of the exchange, path of the run's folder in it, Ray's id of the job; None: those
            of the process.
        do: given the exchange, that path and that id, does the work and returns why it ended, and in
            which words.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("exchange", help="URL of the exchange")
    parser.add_argument("run", help="path of the run's folder in it")
    parser.add_argument("submission", help="Ray's id of this job")
    options = parser.parse_args(arguments)
    exchange = Exchange(options.exchange)
    try:
        reason, detail = do(exchange, options.run, options.submission)
    except FlywheelError as error:
        reason = "interrupted" if isinstance(error, TransientError) else "bad_spec"
        detail = str(error)
    print(f"{reason}: {detail}", flush=True)  # noqa: T201 - Ray keeps it
    outcome = Outcome(submission=options.submission, reason=reason, detail=detail)
    exchange.write_json(f"{options.run}/{outcome_path(options.submission)}", outcome.model_dump())
    return reason


def read_job(exchange: Exchange, run: str, kind: type[JobT]) -> JobT:
    """Read a run's ``job.json``.

    Raises:
        ConfigurationError: it is not one for this version of Flywheel.
    """
    try:
        job = kind.model_validate(exchange.read_json(f"{run}/job.json"))
    except ValidationError as error:
        raise ConfigurationError(
            f"{run}/job.json is not a job for this worker: {error}", next_step=_SAME_VERSION
        ) from error
    if job.version != flywheel.__version__:
        raise ConfigurationError(
            f"This worker has Flywheel {flywheel.__version__}, the job comes from {job.version}.",
            next_step=_SAME_VERSION,
        )
    return job
