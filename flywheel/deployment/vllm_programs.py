"""`run_vllm`: a vLLM for each base model that a deployment needs, and the releases they answer with."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
from pydantic import SecretStr

from flywheel.artifacts.base_folder import BaseModel
from flywheel.artifacts.precision import served_precision
from flywheel.deployment.needed_bases import BasesByDigest, needed_bases
from flywheel.errors import (
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnservedBaseError,
)
from flywheel.ports.model_server import BASE_RELEASE, base_alias
from flywheel.services import Application, Services, vllm
from flywheel.services.supervisor.passwords import made_once
from flywheel.settings import Settings
from flywheel.usecases.release import reconcile_server
from flywheel.wiring import Platform

if TYPE_CHECKING:
    from flywheel.services.supervisor.supervision import ProgramState

__all__ = ["assign_names", "run_vllm"]

_GIBIBYTE = 2**30
# Of a vLLM's processes beside weights and cache, measured on a CPU.
_PROCESS_GIBIBYTES = 1.7


def run_vllm(
    services: Services,
    settings: Settings,
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Start a vLLM for each base that is needed, stop those of other bases, and load the routes.

    A base keeps the name and port that its vLLM has; another one gets the next. Where it is not
    known which bases are needed, such as while the state is away, none is stopped, or started for less.

    Raises:
        NotFoundError: no base was built yet.
        ConfigurationError: the settings name a precision that Flywheel's own vLLM does not serve.
        RefusedError: this machine has too little memory for another vLLM.
    """
    needed = needed_bases(settings)
    bases = needed.by_digest
    for gap in needed.gaps:
        on_progress(f"vllm: a base model may be missing: {gap}")
    if not bases:
        raise NotFoundError(
            f"No base model was built in {settings.home}: vLLM has nothing to serve.",
            next_step="run `flywheel base build`, then `flywheel services up vllm`",
        )
    present = _present(services)
    names = assign_names(bases, present, are_kept=bool(needed.gaps))
    others = sorted(present.keys() - names.values())
    servers = len(names) + (len(others) if needed.gaps else 0)
    served = {
        digest: vllm.served_needs(services.plan.applications[name])
        for digest, name in names.items()
        if needed.gaps and name in present
    }
    needs = _needs(bases, served)
    chosen = {name: bases[digest][0] for digest, name in names.items()}
    _require_memory(services, settings, chosen, servers=servers)
    for name in others:
        if needed.gaps:
            on_progress(f"{name}: left as it is, since something may need its base model")
        else:
            on_progress(f"{name}: stopped, since nothing needs its base model any more")
            services.remove(name)
    # What runs comes first: restarted with its smaller share of a GPU, it leaves room for a new one.
    order = sorted(
        names, key=lambda each: (names[each] not in present, vllm.program_number(names[each]))
    )
    for digest in order:
        application = _application(
            services,
            settings,
            bases[digest][0],
            needs[digest],
            names[digest],
            servers=servers,
            on_progress=on_progress,
        )
        services.run([application], on_progress)
    _load_routes(services, settings, on_progress)


def assign_names(
    bases: Collection[str], present: Mapping[str, str], *, are_kept: bool = False
) -> dict[str, str]:
    """Return the name of each base's program: the one that it has, or the first that is free.

    Args:
        bases: digests of what is needed.
        present: the name by which each program's vLLM says which base it serves.
        are_kept: programs of other bases keep their names.
    """
    names = {
        digest: name
        for digest in bases
        for name, alias in present.items()
        if alias == base_alias(digest)
    }
    numbers = iter(range(1, len(bases) + len(present) + 1))
    taken = {*names.values(), *(present if are_kept else ())}
    for digest in (digest for digest in bases if digest not in names):
        free = (vllm.program_name(number) for number in numbers)
        names[digest] = next(name for name in free if name not in taken)
    return names


def _present(services: Services) -> dict[str, str]:
    return {
        name: vllm.served_alias(application)
        for name, application in services.plan.applications.items()
        if vllm.is_vllm(name)
    }


def _require_memory(
    services: Services, settings: Settings, bases: Mapping[str, BaseModel], *, servers: int
) -> None:
    # One vLLM starts as ever; the second is refused here where it would end in the machine's swap.
    if servers == 1 or vllm.has_gpu():
        return
    running = {name for name, state in _states(services).items() if state.pid is not None}
    new = {name: base for name, base in bases.items() if name not in running}
    each = {
        name: _weight_bytes(base) / _GIBIBYTE + settings.vllm_cache_gb + _PROCESS_GIBIBYTES
        for name, base in new.items()
    }
    available = psutil.virtual_memory().available / _GIBIBYTE
    if sum(each.values()) > available:
        needs = ", ".join(f"{bases[name].name} {size:.1f} GiB" for name, size in each.items())
        raise RefusedError(
            f"This machine has {available:.1f} GiB of free memory, and a vLLM for each base model "
            f"needs about: {needs}.",
            next_step="set a smaller FLYWHEEL_VLLM_CACHE_GB, or start one on another machine and "
            "name both in FLYWHEEL_VLLM_URL",
        )


def _states(services: Services) -> "Mapping[str, ProgramState]":
    return services.states() if services.supervisor.alive() else {}


def _weight_bytes(base: BaseModel) -> int:
    return sum(file.stat().st_size for file in base.folder.glob("*.safetensors"))


def _application(
    services: Services,
    settings: Settings,
    base: BaseModel,
    needs: vllm.ServingNeeds,
    name: str,
    *,
    servers: int,
    on_progress: Callable[[str], None],
) -> Application:
    own = served_precision("own", base.folder)
    if settings.served_precision not in ("own", own):
        raise ConfigurationError(
            f"The vLLM that Flywheel starts serves {base.name} at {own}, the settings name "
            f"{settings.served_precision}.",
            next_step="set FLYWHEEL_SERVED_PRECISION=own, or start a vLLM of your own",
        )
    return vllm.vllm_application(
        base.folder,
        needs,
        name=name,
        folder=services.folder / name,
        port=services.port(name, settings.vllm_port + vllm.program_number(name) - 1),
        token=made_once(services.layout.secrets, vllm.NAME),
        cache=settings.cache,
        cache_gb=settings.vllm_cache_gb,
        servers=servers,
        on_progress=on_progress,
    )


def _needs(
    bases: BasesByDigest, served: Mapping[str, vllm.ServingNeeds]
) -> dict[str, vllm.ServingNeeds]:
    # No less than what is served; clients know one number of adapters for all addresses.
    needs = {digest: vllm.serving_needs(workloads) for digest, (_, workloads) in bases.items()}
    needs |= {digest: each.at_least(needs[digest]) for digest, each in served.items()}
    most = max(each.adapters for each in needs.values())
    return {digest: replace(each, adapters=most) for digest, each in needs.items()}


def _load_routes(
    services: Services, settings: Settings, on_progress: Callable[[str], None]
) -> None:
    # A restarted vLLM has lost its adapters.
    connections = services.connections
    token = SecretStr(str(connections.vllm_token))
    serving = {"model_server": "vllm", "vllm_url": connections.vllm_url, "vllm_token": token}
    platform = Platform(settings.model_copy(update=serving))
    try:
        for workload in platform.workloads.values():
            if platform.state.routes.champion(workload.id) != BASE_RELEASE:
                _load_routes_of(platform, workload.id, on_progress)
    except UnavailableError as error:
        # The state may be another machine's, or not up yet: clients and promotions load as well.
        on_progress(f"champions were not loaded into vLLM: {error.message}")
    finally:
        platform.close()


def _load_routes_of(
    platform: Platform, workload_id: str, on_progress: Callable[[str], None]
) -> None:
    try:
        loaded = reconcile_server(platform, workload_id).loaded
    except (NotFoundError, IntegrityError, UnservedBaseError) as error:
        # Such as of a base that is gone, which stops neither other workloads nor other programs.
        on_progress(f"{workload_id}: not loaded into vLLM: {error}")
    else:
        on_progress(f"{workload_id}: loaded {', '.join(loaded) or 'nothing'} into vLLM")
