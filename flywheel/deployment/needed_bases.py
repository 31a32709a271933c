"""`built_bases` and `needed_bases`: the base models that a deployment's model servers must serve."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import ConfigurationError, IntegrityError, NotFoundError, UnavailableError
from flywheel.settings import Settings
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["BasesByDigest", "NeededBases", "built_bases", "needed_bases"]

BasesByDigest = dict[str, tuple[BaseModel, list[Workload]]]
_OnGap = Callable[[str], None]


@dataclass(frozen=True)
class NeededBases:
    """Bases with the workloads on each; ``gaps`` say why others may be needed beside them."""

    by_digest: BasesByDigest
    gaps: tuple[str, ...]


def built_bases(settings: Settings) -> BasesByDigest:
    """Return the bases that workload files name and that were built, with the workloads on each."""
    with closing(Platform(settings)) as platform:
        return _grouped((workload, _built(platform, [workload])) for workload in _all(platform))


def needed_bases(settings: Settings) -> NeededBases:
    """Return every base that something asks for, with the workloads on each.

    Beside the bases that workload files name, those of their tiers, of the releases that routes
    name, of the release that a rollback would bring back, of open cycles, and those that
    ``vllm_bases`` adds. What the state knows while it is away, and a base that is gone or damaged,
    is left out and is a gap.

    Raises:
        ConfigurationError: ``vllm_bases`` names a base that the home does not hold, or several.
    """
    gaps: list[str] = []
    with closing(Platform(settings)) as platform:
        workloads = _all(platform)
        pairs = [(one, _built(platform, _with_tiers(one), gaps.append)) for one in workloads]
        try:
            pairs += [(one, _answering(platform, one, gaps.append)) for one in workloads]
        except UnavailableError as error:  # it may be another machine's, or not up yet
            gaps.append(f"the state is away ({error.message})")
        added = [_named(platform, name) for name in settings.vllm_base_names]
        by_digest = _grouped([*pairs, *((workload, added) for workload in workloads)])
    return NeededBases(by_digest, tuple(gaps))


def _all(platform: Platform) -> list[Workload]:
    return list(platform.workloads.values())


def _with_tiers(workload: Workload) -> list[Workload]:
    # The first tier is the champion.
    tiers = [tier for tier in workload.tiers[1:] if tier.url is None]
    return [workload, *(workload.on_tier(tier) for tier in tiers)]


def _built(
    platform: Platform, variants: Iterable[Workload], on_gap: _OnGap = lambda _: None
) -> list[BaseModel]:
    bases = []
    for variant in variants:
        try:
            bases.append(platform.base(variant))
        except NotFoundError as error:
            # Where none was built, `flywheel base build` comes first, and says so.
            if platform.bases.recorded_digest(variant) is not None:
                on_gap(error.message)
    return bases


def _answering(platform: Platform, workload: Workload, on_gap: _OnGap) -> list[BaseModel]:
    state = platform.state
    releases = {release.release: release for release in state.releases.of(workload.id)}
    names = {route.release for route in state.routes.of(workload.id)}
    names |= {str(releases[name].replaced) for name in names & set(releases)}
    searches: list[tuple[str, Callable[[], BaseModel]]] = []
    for name in sorted(names & set(releases)):
        if (lineage := releases[name].recorded_lineage) is None:
            on_gap(f"{name}: the state does not hold its base")
        else:
            searches.append((name, partial(platform.bases.with_digest, lineage.base_digest)))
    searches += [
        (cycle.ref.name, partial(platform.base, cycle.opened.workload))
        for cycle in state.cycles.list_open(workload.id)
    ]
    return [base for name, find in searches for base in _found(name, find, on_gap)]


def _found(name: str, find: Callable[[], BaseModel], on_gap: _OnGap) -> list[BaseModel]:
    # What is wrong with one base keeps no other one from being served.
    try:
        return [find()]
    except (NotFoundError, IntegrityError, UnavailableError) as error:
        on_gap(f"{name}: {error.message}")
        return []


def _named(platform: Platform, name: str) -> BaseModel:
    # By its name or the beginning of its digest.
    bases = {base.digest: base for base in platform.bases.all()}
    matches = [base for base in bases.values() if base.name == name or base.digest.startswith(name)]
    if len(matches) != 1:
        names = ", ".join(sorted(f"{base.name} ({base.digest[:12]})" for base in bases.values()))
        problem = "names several base models" if matches else "is not in the home"
        raise ConfigurationError(
            f"FLYWHEEL_VLLM_BASES: {name} {problem}. There are: {names or 'none'}.",
            next_step="give the digest of one"
            if matches
            else f"run `flywheel base build {name} --workload WORKLOAD --beside`",
        )
    return matches[0]


def _grouped(pairs: Iterable[tuple[Workload, list[BaseModel]]]) -> BasesByDigest:
    grouped: BasesByDigest = {}
    for workload, bases in pairs:
        for base in bases:
            workloads = grouped.setdefault(base.digest, (base, []))[1]
            if workload not in workloads:
                workloads.append(workload)
    return grouped
