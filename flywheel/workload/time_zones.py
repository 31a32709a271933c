"""`known_time_zone`: the name of a time zone, checked, with a suggestion where it is mistyped."""

from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

__all__ = ["known_time_zone"]


def known_time_zone(name: str) -> str:
    """Return the name of a time zone that this machine knows.

    Raises:
        ValueError: it is none; the message names those that may be meant.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # KeyError: not found; OSError: a folder
        likely = _similar(name)
        hint = f"did you mean {' or '.join(likely)}?" if likely else "such as Europe/Berlin or UTC"
        msg = f"{name!r} is not a time zone; {hint}"
        raise ValueError(msg) from error
    return name


def _similar(name: str) -> list[str]:
    # By the whole name or by its city, whatever the case.
    folded = name.strip().casefold().replace(" ", "_")
    by_key = _by_folded_name()
    cities = {key.rpartition("/")[2]: key for key in sorted(by_key)}
    matches = get_close_matches(folded, by_key, n=2, cutoff=0.8)
    city = get_close_matches(folded.rpartition("/")[2], cities, n=1, cutoff=0.8)
    keys = dict.fromkeys([*matches, *(cities[one] for one in city)])
    return [by_key[key] for key in keys][:2]


@cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}
