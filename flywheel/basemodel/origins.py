"""`require_allowed`: whether an owner lets a base model be used at all."""

from fnmatch import fnmatchcase

from flywheel.errors import RefusedError
from flywheel.settings.comma_list import comma_list

__all__ = ["require_allowed"]


def require_allowed(name: str, origins: str | None) -> None:
    """Raise RefusedError where a base model's name is on no line of the allow-list.

    Args:
        name: as in ``base_model``: tiny, smollm2, a folder, or a hub name.
        origins: patterns separated by commas; None allows all.
    """
    if origins is None:
        return
    if not any(fnmatchcase(name, pattern) for pattern in comma_list(origins)):
        raise RefusedError(
            f"The base model {name} is not among the allowed ones ({origins}).",
            next_step="choose one of these, or add it to FLYWHEEL_BASE_ORIGINS",
        )
