"""Start, stop, inspect and, for tests, kill or pause a set of local services; each set is one folder with one supervisor."""

import os
import signal
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.lock import exclusive
from flywheel.services import catalog, checks, object_store, postgres, service_ports, vllm
from flywheel.services.application import Application
from flywheel.services.connections import Connections, write_connections
from flywheel.services.supervisor import watchdog as guarding
from flywheel.services.supervisor.leftovers import group_members
from flywheel.services.supervisor.network import free_ports, require_free
from flywheel.services.supervisor.plan import Plan, load_plan, new_plan, save_plan
from flywheel.services.supervisor.program import Layout, Program
from flywheel.services.supervisor.shutdown import stop
from flywheel.services.supervisor.supervision import ProgramState, Supervisor, tail, wait_until
from flywheel.settings import Settings

__all__ = ["Services", "start"]

_GROUP_SECONDS = 60


class Services:
    """A set of services: where they are, and how to stop, kill and restart each."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder.absolute())
        self.supervisor = Supervisor(self.layout)

    @property
    def folder(self) -> Path:
        """Everything of this set: data, logs, passwords."""
        return self.layout.folder

    @property
    def plan(self) -> Plan:
        """What the set consists of."""
        plan = load_plan(self.layout.plan)
        if plan is None:
            raise ConfigurationError(
                f"No services were ever started in {self.folder}.",
                next_step="run `flywheel services up`",
            )
        return plan

    @property
    def connections(self) -> Connections:
        """Where a client finds what runs here."""
        return catalog.connections(self.layout, self.plan)

    @property
    def names(self) -> list[str]:
        """The programs of this set."""
        return self.plan.names

    def states(self) -> dict[str, ProgramState]:
        """Return the state of each program."""
        return self.supervisor.states()

    @property
    def object_store_environment(self) -> dict[str, str]:
        """Variables of a client of this set's S3 server, keys included."""
        return object_store.environment(catalog.object_store_server(self.layout, self.plan))

    def create_database(self, name: str) -> str:
        """Make an empty database for the role flywheel and return its SQLAlchemy URL."""
        server = self._postgres()
        postgres.create_database(server, name, owner="flywheel")
        return postgres.database_url(server, name, role="flywheel")

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the sessions in it."""
        postgres.drop_database(self._postgres(), name)

    def start(self, name: str) -> None:
        """Start one program again, at its port and on its data, and wait until it serves."""
        self._start_wave([self._program(name)], self.plan, lambda _: None)

    def stop(self, name: str) -> None:
        """Stop one program in good order."""
        self._program(name)
        self.supervisor.stop(name)

    def restart(self, name: str) -> None:
        """Stop one program and start it again."""
        self.stop(name)
        self.start(name)

    def kill(self, name: str, *, group: bool = True) -> None:
        """Kill one program with -9 and return when it is gone, with its children where they are killed.

        A killed child holds the program's port until the system has taken it apart.
        """
        before = self.states()[name].pid
        members = group_members(before) if group and before is not None else []
        self.signal(name, signal.SIGKILL, group=group)
        psutil.wait_procs(members, timeout=_GROUP_SECONDS)
        wait_until(
            lambda: self.states()[name].pid != before,
            seconds=20,
            goal=f"the end of {name}",
            log=self.log(name),
        )

    def signal(self, name: str, number: signal.Signals, *, group: bool = True) -> None:
        """Send a signal (SIGSTOP and SIGCONT among them) to a program, with its children or not."""
        pid = self.states()[name].pid
        if pid is None:
            raise UnavailableError(f"{name} does not run.", next_step=f"read {self.log(name)}")
        (os.killpg if group else os.kill)(pid, number)

    def port(self, name: str, fixed: int) -> int:
        """Return the port for an application: the fixed one, or a free one in an ephemeral set."""
        plan = self.plan
        if not plan.ephemeral:
            return fixed
        if name in plan.applications:
            return plan.applications[name].ports[0]
        return free_ports(1, used=[port for ports in plan.ports.values() for port in ports])[0]

    def log(self, name: str) -> Path:
        """Return the log file of a program."""
        return self.layout.logs / f"{name}.log"

    def close(self) -> None:
        """Stop everything; an ephemeral set is deleted with its data."""
        stop(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(
        self,
        names: Collection[str],
        settings: Settings,
        brokers: int = 1,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start the named services of this set which do not run yet, with what they need."""
        with exclusive(self.folder / "lock", on_wait=on_progress):
            required = service_ports.needed(names)
            configured = {} if self.plan.ephemeral else service_ports.own(settings)
            uses_kafka = "kafka" in required & set(configured)
            required -= set(configured)
            plan = service_ports.extended(self.plan, required, settings, brokers)
            save_plan(plan, self.layout.plan)
            chosen = [name for name in plan.ports if service_ports.service_of(name) in required]
            self._bring_up(chosen, plan, on_progress)
            configured = {} if plan.ephemeral else settings.model_dump(exclude_unset=True)
            connections = self.connections.without(configured)
            if uses_kafka:
                connections = replace(connections, event_log="kafka")
            write_connections(connections, self.folder)

    def run(
        self,
        applications: Collection[Application],
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start applications beside the services and wait until each serves."""
        with exclusive(self.folder / "lock", on_wait=on_progress):
            plan = self.plan
            for application in applications:
                plan = plan.with_application(application)
            save_plan(plan, self.layout.plan)
            self._bring_up([application.name for application in applications], plan, on_progress)
            if any(vllm.is_vllm(application.name) for application in applications):
                catalog.publish(plan, self.folder)

    def remove(self, name: str) -> None:
        """Stop an application and take it out of the set."""
        with exclusive(self.folder / "lock"):
            if self.supervisor.alive():
                self.supervisor.remove(name)
            plan = self.plan.without_application(name)
            save_plan(plan, self.layout.plan)
            catalog.publish(plan, self.folder)

    def _bring_up(
        self, names: Sequence[str], plan: Plan, on_progress: Callable[[str], None]
    ) -> None:
        if not self.supervisor.alive():
            checks.require_no_leftovers(self.folder)
            checks.require_space(self.folder)
            self.supervisor.ensure()
        running = {name for name, state in self.states().items() if state.pid is not None}
        catalog.prepare(self.layout, plan, set(names) - running, on_progress)
        programs = [p for name, p in catalog.programs(self.layout, plan).items() if name in names]
        for wave in sorted({program.wave for program in programs}):
            self._start_wave([p for p in programs if p.wave == wave], plan, on_progress)

    def _start_wave(
        self, programs: Sequence[Program], plan: Plan, on_progress: Callable[[str], None]
    ) -> None:
        for program in programs:
            self.supervisor.install(program, restart=not plan.ephemeral)
            if self.states()[program.name].pid is None:
                setting = None if plan.ephemeral else service_ports.port_setting(program.name)
                for port in program.ports:
                    require_free(port, wanted_by=program.name, setting=setting)
                on_progress(f"starting {program.name}")
                self.supervisor.start(program.name)
        for program in programs:
            self._wait(program)
            if program.after_start is not None:
                program.after_start()

    def _wait(self, program: Program) -> None:
        log = self.log(program.name)

        def check() -> None:
            if self.states()[program.name].state in {"fatal", "exited"}:
                raise UnavailableError(
                    f"{program.name} stopped while starting. Its log ends with:\n{tail(log)}",
                    next_step=f"read {log}",
                )

        wait_until(
            lambda: self.states()[program.name].state == "running" and program.ready(),
            seconds=program.start_seconds,
            goal=program.name,
            log=log,
            check=check,
        )

    def _program(self, name: str) -> Program:
        programs = catalog.programs(self.layout, self.plan)
        if name not in programs:
            raise ConfigurationError(
                f"There is no program {name} in {self.folder}.",
                next_step=f"choose one of: {', '.join(programs) or 'none was started yet'}",
            )
        return programs[name]

    def _postgres(self) -> postgres.Server:
        server = catalog.postgres_server(self.layout, self.plan)
        if server is None:
            raise ConfigurationError(
                f"PostgreSQL was not started in {self.folder}.",
                next_step="run `flywheel services up postgres`",
            )
        return server


def start(
    settings: Settings,
    names: Collection[str] = service_ports.UNASKED,
    *,
    ephemeral: bool = False,
    brokers: int = 1,
    kafka_properties: Mapping[str, str] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Services:
    """Start services and wait until each serves; what runs already is left as it is.

    Args:
        settings: Ports, memory, and the folders of services and cache, read with the embedded
            profile; a service that they give the address of is left alone.
        names: Some of ``SERVICES``, by default those that need not be asked for; what they need comes with them.
        ephemeral: Free ports and a folder of their own, stopped and deleted with this process.
        brokers: Brokers in the Kafka cluster, when it is new.
        kafka_properties: Broker settings over ours, when the set is new.
        on_progress: Told what is being started.
    """
    services = Services(
        Path(tempfile.mkdtemp(prefix="flywheel-services-")) if ephemeral else settings.services
    )
    services.layout.make()
    if load_plan(services.layout.plan) is None:
        plan = new_plan(
            ephemeral=ephemeral,
            cache=settings.cache,
            memory_mb=settings.kafka_memory_mb,
            properties=kafka_properties or {},
        )
        save_plan(plan, services.layout.plan)
    if not ephemeral:
        services.add(names, settings, brokers, on_progress)
        return services
    guarding.post(services.folder)
    try:
        services.add(names, settings, brokers, on_progress)
    except BaseException:
        services.close()
        raise
    return services
