"""`published_checks`: what the object store holds of datasets, adapters, reports and base models.

The home's own copies are looked at by `verify_files`. Where the lake is on a disk there is nothing to
check here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import IntegrityError

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["published_checks"]

_KINDS = {"datasets": "datasets", "runs": "adapters and gate reports", "bases": "base models"}
_SHOWN = 3


def published_checks(platform: "Platform", *, full: bool = False) -> dict[str, Callable[[], str]]:
    """Return one check per kind of published artifact; none where artifacts are not published.

    Every object is compared with the digest in its artifact's list, and every artifact that the state
    names is looked for. The weights of base models are compared by their size, unless ``full``.
    """
    if not platform.artifacts.are_published:
        return {}
    names: dict[str, set[str]] = defaultdict(set)
    for name in platform.artifacts.names():
        names[name.partition("/")[0]].add(name)
    named = set(_named(platform))
    return {
        f"published {kind}": partial(
            _check,
            platform,
            sorted(names[top] | {name for name in named if name.startswith(f"{top}/")}),
            content=full or top != "bases",
        )
        for top, kind in _KINDS.items()
    }


def _check(platform: "Platform", names: Sequence[str], *, content: bool) -> str:
    problems = [
        f"{name}: {problem}"
        for name in names
        for problem in platform.artifacts.store.problems(name, content=content)
    ]
    if problems:
        more = len(problems) - _SHOWN
        tail = f", and {more} more" if more > 0 else ""
        raise IntegrityError(
            f"{'; '.join(problems[:_SHOWN])}{tail}",
            next_step="materialize platform/maintenance where a home holds them (of an artifact of "
            "more than 4 MiB, delete an object with other content first), else restore them from a "
            "backup",
        )
    return f"{len(names)}, as they were published" if content else f"{len(names)}, none missing"


def _named(platform: "Platform") -> Iterator[str]:
    folder = platform.workload_folder
    for workload_id in (*folder.workloads, *folder.problems):
        for release in platform.state.releases.of(workload_id):
            yield from _name(platform, Path(release.adapter))
        for cycle in platform.state.cycles.of(workload_id):
            for attempt in platform.state.attempts.of(cycle.ref):
                if attempt.dataset is not None:
                    yield from _name(platform, attempt.dataset.folder)
                if attempt.gate is not None:
                    yield from _name(platform, attempt.gate.path)


def _name(platform: "Platform", path: Path) -> Iterator[str]:
    name = platform.artifacts.name_of(path)
    if name is not None:
        yield name
