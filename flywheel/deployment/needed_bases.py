"""`built_bases` and `needed_bases`: the base models that a deployment's model servers must serve."""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress

from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import ConfigurationError, NotFoundError, UnavailableError
from flywheel.settings import Settings
from flywheel.usecases.served_bases import base_digests
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["BasesByDigest", "built_bases", "needed_bases"]

BasesByDigest = dict[str, tuple[BaseModel, list[Workload]]]


def built_bases(settings: Settings) -> BasesByDigest:
    """Return the bases that workload files name and that were built, with the workloads on each."""
    with closing(Platform(settings)) as platform:
        return _grouped((workload, _built(platform, [workload])) for workload in _all(platform))


def needed_bases(settings: Settings) -> BasesByDigest:
    """Return every base that something asks for, with the workloads on each, by digest.

    Beside the bases that workload files name, those of their tiers, of the releases that routes
    name, of the release that a rollback would bring back, of open cycles, and those that
    ``vllm_bases`` adds. Where the state is away, what it knows is left out.

    Raises:
        ConfigurationError: ``vllm_bases`` names a base that the home does not hold, or several.
    """
    with closing(Platform(settings)) as platform:
        workloads = _all(platform)
        pairs = [(workload, _built(platform, _with_tiers(workload))) for workload in workloads]
        with suppress(UnavailableError):  # the state may be another machine's, or not up yet
            pairs += [(workload, _answering(platform, workload)) for workload in workloads]
        added = [_named(platform, name) for name in settings.vllm_base_names]
        return _grouped([*pairs, *((workload, added) for workload in workloads)])


def _all(platform: Platform) -> list[Workload]:
    return list(platform.workloads.values())


def _with_tiers(workload: Workload) -> list[Workload]:
    # The first tier is the champion.
    tiers = [tier for tier in workload.tiers[1:] if tier.url is None]
    return [workload, *(workload.on_tier(tier) for tier in tiers)]


def _built(platform: Platform, variants: Iterable[Workload]) -> list[BaseModel]:
    bases = []
    for variant in variants:
        try:
            bases.append(platform.base(variant))
        except NotFoundError:
            continue  # `flywheel base build` comes first, and says so
    return bases


def _answering(platform: Platform, workload: Workload) -> list[BaseModel]:
    state = platform.state
    releases = {release.release: release for release in state.releases.of(workload.id)}
    names = {route.release for route in state.routes.of(workload.id)}
    names |= {str(releases[name].replaced) for name in names & set(releases)}
    digests = base_digests(platform, names & set(releases))
    opened = [cycle.opened.workload for cycle in state.cycles.list_open(workload.id)]
    return [*map(platform.bases.with_digest, digests), *_built(platform, opened)]


def _named(platform: Platform, name: str) -> BaseModel:
    # By its name or the beginning of its digest.
    bases = {base.digest: base for base in platform.bases.all()}
    matches = [base for base in bases.values() if base.name == name or base.digest.startswith(name)]
    if len(matches) != 1:
        there = ", ".join(sorted(f"{base.name} ({base.digest[:12]})" for base in bases.values()))
        problem = "names several base models" if matches else "is not in the home"
        raise ConfigurationError(
            f"FLYWHEEL_VLLM_BASES: {name} {problem}. There are: {there or 'none'}.",
            next_step="give the digest of one"
            if matches
            else f"run `flywheel base build {name} --workload WORKLOAD --beside`",
        )
    return matches[0]


def _grouped(pairs: Iterable[tuple[Workload, list[BaseModel]]]) -> BasesByDigest:
    grouped: BasesByDigest = {}
    for workload, base in _flat(pairs):
        workloads = grouped.setdefault(base.digest, (base, []))[1]
        if workload not in workloads:
            workloads.append(workload)
    return grouped


def _flat(
    pairs: Iterable[tuple[Workload, list[BaseModel]]],
) -> Iterator[tuple[Workload, BaseModel]]:
    for workload, bases in pairs:
        for base in bases:
            yield workload, base
