"""The work of a day on what a soak has landed: each step a process, its processor time and memory.

`python -m bench.soak.daily STEP` is such a process; it works on the deployment of its settings.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.soak.followers import ROOT, environment
from flywheel.errors import IntegrityError, UnavailableError

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["STEPS", "Work", "work"]

_MEGABYTE = 2**20
_WORKLOAD = "bench"


@dataclass(frozen=True)
class Work:
    """What one step took: processor seconds and most memory of its process, and what it said."""

    step: str
    seconds: float
    processor_seconds: float
    megabytes: float
    said: str


def work(step: str, home: Path, settings: dict[str, str]) -> Work:
    """Run a step on a home in a process of its own and measure it."""
    out, began = home / f"{step}.json", time.monotonic()
    command = [sys.executable, "-m", "bench.soak.daily", step, str(out)]
    log = os.open(home / f"{step}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    pid = os.posix_spawn(
        sys.executable,
        command,
        environment(home, settings),
        file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
    )
    os.close(log)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise UnavailableError(
            f"{step} failed.",
            next_step=f"it said: {(home / f'{step}.log').read_text()[-2000:]}",
        )
    return Work(
        step,
        time.monotonic() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024 / _MEGABYTE,
        json.loads(out.read_text()),
    )


def _profile(platform: "Platform") -> str:
    from flywheel.drift.profile import profile_days

    day = _today().date() - timedelta(days=1)
    rows = profile_days(platform.lake, platform.workload(_WORKLOAD), [day])
    return f"{day}: {rows} rows"


def _profiles(platform: "Platform") -> str:
    from flywheel.usecases.drift import refresh_recent_profiles

    return f"{refresh_recent_profiles(platform, platform.workload(_WORKLOAD))} days"


def _drift(platform: "Platform") -> str:
    from flywheel.drift.observe import observe_drift

    workload = platform.workload(_WORKLOAD)
    # As if a release had been promoted in the middle of the traffic.
    first = platform.lake.rows("SELECT min(day) AS day FROM inferences")[0]["day"]
    middle = first + (_today().date() - first) / 2
    promoted_at = datetime.combine(middle, clock_time(), UTC)
    reports = observe_drift(platform.lake, workload, promoted_at=promoted_at, now=_today())
    return f"{len(reports)} windows: {', '.join(report.verdict for report in reports)}"


def _sample(platform: "Platform") -> str:
    from flywheel.usecases.observe import push_reviews

    since = _today() - timedelta(days=1)
    report = push_reviews(
        platform, platform.workload(_WORKLOAD), since=since, until=_today(), budget=60
    )
    return f"{report.items} items of {report.candidates or 0:,} answers"


def _verify(platform: "Platform", *, full: bool = False) -> str:
    from flywheel.usecases.verification import verify_deployment

    done = verify_deployment(platform, full=full)
    if not done.good:
        raise IntegrityError(
            f"The deployment is not as it should be: {asdict(done)['findings']}",
            next_step="keep the folder and look at what is BROKEN",
        )
    return done.findings["ledger"]


def _today() -> datetime:
    return datetime.combine(datetime.now(UTC).date(), clock_time(), UTC)


# In this order; the profile and the sample are of the last day, as every night.
STEPS: dict[str, Callable[["Platform"], str]] = {
    "profile": _profile,
    "profiles": _profiles,
    "drift": _drift,
    "sample": _sample,
    "verify-full": lambda platform: _verify(platform, full=True),
    "verify": _verify,
}


def main() -> None:
    """Do one step and write down what it said."""
    from flywheel.wiring import open_platform

    step, out = sys.argv[1], Path(sys.argv[2])
    out.write_text(json.dumps(STEPS[step](open_platform(existing=True))))


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
