"""What will fail later with the present settings, disk and log: sentences for `flywheel doctor`.

Pure functions, but for `folder_growth` and `open_paths`, which look at the disk.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel.ports.event_log import TopicSettings
from flywheel.settings import Settings
from flywheel.workload.model import Workload

__all__ = [
    "DiskOutlook",
    "folder_growth",
    "open_paths",
    "retention_warnings",
    "settings_warnings",
    "workload_warnings",
]

_PERIOD_DAYS = {"monthly": 28, "quarterly": 90, "yearly": 365}
_DAY = 86_400
_WEEK_DAYS = 7
_WARN_DAYS = 60
_PUBLIC_KEY = "flywheel-embedded"


@dataclass(frozen=True)
class DiskOutlook:
    """How fast a folder grows and how long the disk lasts; ``bytes_a_day`` over the last week."""

    bytes_a_day: float
    free: int

    @property
    def days_left(self) -> float | None:
        """Days until the disk is full, None where nothing grows."""
        return self.free / self.bytes_a_day if self.bytes_a_day > 0 else None

    @property
    def holds(self) -> bool:
        """Return whether the disk lasts for two months."""
        return self.days_left is None or self.days_left > _WARN_DAYS

    def sentence(self) -> str:
        """Say it in a few words."""
        if self.days_left is None:
            return "nothing was written in the last week"
        rate = f"{self.bytes_a_day / 2**20:,.0f} MiB a day in the last week"
        if self.holds:
            return f"{rate}: the disk lasts for more than {_WARN_DAYS} days"
        return (
            f"{rate}: the disk is full in {self.days_left:,.0f} days; free space, or move the home"
        )


def folder_growth(folder: Path, *, now: float) -> float:
    """Return the bytes a day that were written under a folder in the last week.

    Args:
        folder: where to look.
        now: seconds since the epoch.
    """
    since, size = now - _WEEK_DAYS * _DAY, 0
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # removed meanwhile
        if stat.S_ISREG(status.st_mode) and status.st_mtime >= since:
            size += status.st_size
    return size / _WEEK_DAYS


def open_paths(home: Path) -> list[str]:
    """Return what of a home others than its user may read, topmost first."""
    if not home.exists() or not stat.S_IMODE(home.stat().st_mode) & 0o007:
        return []  # no one else has access
    paths = [home, *sorted(home.iterdir())]
    return [str(path) for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o004]


def settings_warnings(settings: Settings) -> Iterator[str]:
    """Yield what settings contradict each other or will not do what they seem to."""
    if settings.hash_key.get_secret_value() == _PUBLIC_KEY:
        yield (
            "FLYWHEEL_HASH_KEY is the default that everybody knows: who has a person's id can "
            "compute its hash. Set it before the first real event; later it makes everybody a "
            "new person"
        )
    if (settings.webhook_url is None) != (settings.webhook_secret is None):
        missing = "SECRET" if settings.webhook_secret is None else "URL"
        yield f"FLYWHEEL_WEBHOOK_{missing} is not set, so that Label Studio sends no webhooks"
    if settings.review_queue != "label_studio" and settings.webhook_url is not None:
        yield "FLYWHEEL_WEBHOOK_URL is set, and the review queue is not Label Studio"
    if settings.train_launcher != "ray" and settings.train_gpus:
        yield "FLYWHEEL_TRAIN_GPUS is set, and only a training on Ray reserves GPUs"


def workload_warnings(workload: Workload) -> Iterator[str]:
    """Yield which of a workload's rules cannot take effect within a period."""
    days = _PERIOD_DAYS[workload.cadence]
    if workload.trigger.cooldown_days >= days:
        yield (
            f"trigger.cooldown_days {workload.trigger.cooldown_days} is as long as a "
            f"{workload.cadence} period: drift, quality and volume never open a cycle"
        )
    span = workload.drift.window_days * workload.drift.windows
    if span >= days:
        yield (
            f"drift.window_days {workload.drift.window_days} times drift.windows "
            f"{workload.drift.windows} is as long as a {workload.cadence} period: the calendar "
            "always comes before drift"
        )


def retention_warnings(topics: Mapping[str, TopicSettings]) -> Iterator[str]:
    """Yield the topics that lose records before an ingest that stood still for a week reads them."""
    for name, settings in topics.items():
        seconds = settings.retention_seconds
        if seconds is not None and 0 <= seconds < _WEEK_DAYS * _DAY:
            yield (
                f"{name} deletes records after {seconds / _DAY:.1f} days: an ingest that stands "
                "still for so long loses them; raise the topic's retention.ms"
            )
        if settings.cleanup not in {None, "delete"}:
            yield f"{name} is cleaned up by {settings.cleanup}: earlier records of a key are lost"
