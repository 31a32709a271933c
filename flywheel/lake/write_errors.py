"""`write_error`: what Delta says of a write that failed, as an error of ours with a next step."""

from flywheel.errors import ConcurrencyError, FlywheelError, StorageError, UnavailableError
from flywheel.lake.location import LakeLocation, LakePath, without_secrets

__all__ = ["write_error"]

_LOG_IS_GONE = "Invalid table version"
_FULL = ("No space left on device", "Disk quota exceeded")


def write_error(
    table: str, folder: LakePath, location: LakeLocation, error: Exception
) -> FlywheelError:
    """Translate an error of a write.

    Args:
        table: name of the table that was written.
        folder: where it lies.
        location: of the lake.
        error: Delta's, or the disk's.
    """
    if _LOG_IS_GONE in str(error):
        return ConcurrencyError(
            f"This process stood still while others wrote to {table}.",
            next_step="read the position again and retry",
        )
    # A disk is full for a while: nothing was committed, and a later try lands the same rows.
    if any(words in str(error) for words in _FULL):
        return UnavailableError(
            f"The disk of {table} is full.",
            next_step=f"free space under {folder}; it is safe to try again",
        )
    problem = f"Writing to {table} failed"
    if location.is_remote:
        return location.error(problem, error)
    return StorageError(
        f"{problem}: {without_secrets(str(error))}",  # Delta draws trees, in colors
        next_step="look for a missing permission or a damaged disk, then run it again",
    )
