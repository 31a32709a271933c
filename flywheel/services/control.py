"""Start, stop, look at and hurt a set of services; each set is one folder with one supervisor."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.services import kafka, leftovers, mlflow, postgres
from flywheel.services.connections import Connections, write_connections
from flywheel.services.network import free_ports, require_free
from flywheel.services.plan import Plan, load_plan, new_plan, save_plan
from flywheel.services.program import Layout, Program
from flywheel.services.supervision import ProgramState, Supervisor, tail, wait_until
from flywheel.settings import Settings

__all__ = ["SERVICES", "Services", "start", "stop"]

SERVICES = ("kafka", "postgres", "mlflow")
_SETTINGS = {"kafka": "kafka_port", "postgres": "postgres_port", "mlflow": "mlflow_port"}
_FREE_BYTES = 2**30
# The guards of this process's ephemeral sets, by folder.
_guards: dict[Path, "subprocess.Popen[bytes]"] = {}


class Services:
    """A set of services that was started: where they are, and how to hurt them in a test."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder.absolute())
        self._supervisor = Supervisor(self.layout)

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
        plan = self.plan
        server = _postgres(self.layout, plan) if "postgres" in plan.ports else None
        brokers = _brokers(self.layout, plan)
        return Connections(
            kafka_servers=kafka.servers(brokers) if brokers.ports else None,
            state_url=postgres.database_url(server, "flywheel") if server else None,
            mlflow_url=f"http://127.0.0.1:{plan.ports['mlflow'][0]}"
            if "mlflow" in plan.ports
            else None,
            dagster_url=postgres.database_url(server, "dagster") if server else None,
        )

    @property
    def names(self) -> list[str]:
        """The programs of this set."""
        return list(self.plan.ports)

    def states(self) -> dict[str, ProgramState]:
        """Return the state of each program."""
        return self._supervisor.states()

    def create_database(self, name: str) -> str:
        """Make an empty database of its own role and return its SQLAlchemy URL."""
        server = _postgres(self.layout, self.plan)
        postgres.create_database(server, name, owner="flywheel")
        return postgres.database_url(server, name, role="flywheel")

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the sessions in it."""
        postgres.drop_database(_postgres(self.layout, self.plan), name)

    def start(self, name: str) -> None:
        """Start one program again, at its port and on its data, and wait until it serves."""
        program = self._programs()[name]
        self._supervisor.start(name)
        self._wait(program)

    def stop(self, name: str) -> None:
        """Stop one program in good order."""
        self._supervisor.stop(name)

    def restart(self, name: str) -> None:
        """Stop one program and start it again."""
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        """Kill one program with -9 and return when it is gone."""
        self.signal(name, signal.SIGKILL)
        wait_until(
            lambda: self.states()[name].pid is None,
            seconds=20,
            what=f"the end of {name}",
            log=self.log(name),
        )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal (SIGSTOP and SIGCONT among them) to a program and its children."""
        pid = self.states()[name].pid
        if pid is None:
            raise UnavailableError(f"{name} does not run.", next_step=f"read {self.log(name)}")
        os.killpg(pid, number)

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
        """Start the named services of this set which do not run yet."""
        with _only_one(self.layout):
            plan = _extended(self.plan, names, settings, brokers)
            save_plan(plan, self.layout.plan)
            wanted = _expanded(names, plan)
            self._prepare(plan, wanted)
            self._supervisor.ensure()
            programs = [p for name, p in self._programs().items() if name in wanted]
            for wave in sorted({program.wave for program in programs}):
                self._start_wave([p for p in programs if p.wave == wave], plan, on_progress)

    def _prepare(self, plan: Plan, wanted: Sequence[str]) -> None:
        running = self._running()
        if "postgres" in wanted and "postgres" not in running:
            postgres.prepare(_postgres(self.layout, plan))
        if any(name.startswith("kafka") and name not in running for name in wanted):
            kafka.prepare(_brokers(self.layout, plan))

    def _running(self) -> set[str]:
        if not self._supervisor.alive():
            return set()
        return {name for name, state in self.states().items() if state.pid is not None}

    def _start_wave(
        self, programs: Sequence[Program], plan: Plan, on_progress: Callable[[str], None]
    ) -> None:
        for program in programs:
            self._supervisor.install(program, restart=not plan.ephemeral)
            if self.states()[program.name].pid is None:
                setting = None if plan.ephemeral else _SETTINGS[program.name.split("-")[0]]
                for port in program.ports:
                    require_free(port, wanted_by=program.name, setting=setting)
                on_progress(f"starting {program.name}")
                self._supervisor.start(program.name)
        for program in programs:
            self._wait(program)
            if program.name == "postgres":
                postgres.prepare_databases(_postgres(self.layout, plan))

    def _wait(self, program: Program) -> None:
        def check() -> None:
            state = self.states()[program.name]
            if state.state in {"fatal", "exited"}:
                log = self.log(program.name)
                raise UnavailableError(
                    f"{program.name} stopped while starting. Its log ends with:\n{tail(log)}",
                    next_step=f"read {log}",
                )

        wait_until(
            lambda: self.states()[program.name].pid is not None and program.ready(),
            seconds=program.start_seconds,
            what=program.name,
            log=self.log(program.name),
            check=check,
        )

    def _programs(self) -> dict[str, Program]:
        plan = self.plan
        found: list[Program] = []
        brokers = _brokers(self.layout, plan)
        if brokers.ports:
            found += kafka.programs(brokers)
        if "postgres" in plan.ports:
            server = _postgres(self.layout, plan)
            found.append(postgres.program(server))
            if "mlflow" in plan.ports:
                found.append(
                    mlflow.program(
                        mlflow.Server(
                            folder=self.folder / "mlflow",
                            port=plan.ports["mlflow"][0],
                            database_url=postgres.database_url(server, "mlflow"),
                        )
                    )
                )
        return {program.name: program for program in found}


def start(
    settings: Settings,
    names: Collection[str] = SERVICES,
    *,
    ephemeral: bool = False,
    brokers: int = 1,
    kafka_properties: Mapping[str, str] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Services:
    """Start services and wait until each serves; what runs already is left as it is.

    Args:
        settings: Ports, memory, and the folders of services and cache.
        names: Some of ``SERVICES``; what they need comes with them.
        ephemeral: Free ports and a folder of their own, stopped and deleted with this process.
        brokers: Brokers in the Kafka cluster.
        kafka_properties: Broker settings over ours.
        on_progress: Told what is being started.
    """
    folder = (
        Path(tempfile.mkdtemp(prefix="flywheel-services-"))
        if ephemeral
        else settings.services.absolute()
    )
    services = Services(folder)
    services.layout.make()
    if load_plan(services.layout.plan) is None:
        plan = new_plan(
            ephemeral=ephemeral, cache=settings.cache, memory_mb=settings.kafka_memory_mb
        )
        if kafka_properties:
            plan = Plan(**{**plan.__dict__, "properties": dict(kafka_properties)})
        save_plan(plan, services.layout.plan)
    if ephemeral:
        _guard(folder)
    try:
        services.add(names, settings, brokers, on_progress)
    except BaseException:
        if ephemeral:
            services.close()
        raise
    write_connections(services.connections, folder)
    return services


def stop(folder: Path) -> None:
    """Stop the services of a folder: afterwards no process and no port is left."""
    layout = Layout(folder.absolute())
    supervisor = Supervisor(layout)
    if supervisor.alive():
        supervisor.shutdown()
    leftovers.end(layout.folder)
    plan = load_plan(layout.plan)
    (layout.folder / "connections.toml").unlink(missing_ok=True)
    if plan is not None and plan.ephemeral:
        shutil.rmtree(layout.folder, ignore_errors=True)
    guard = _guards.pop(layout.folder, None)
    if guard is not None:
        guard.terminate()
        guard.wait()


@contextmanager
def _only_one(layout: Layout) -> Iterator[None]:
    with (layout.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _guard(folder: Path) -> None:
    command = [sys.executable, "-m", "flywheel.services.guard", str(os.getpid()), str(folder)]
    _guards[folder] = subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _extended(plan: Plan, names: Collection[str], settings: Settings, brokers: int) -> Plan:
    unknown = sorted(set(names) - set(SERVICES))
    if unknown:
        raise ConfigurationError(
            f"There is no service {', '.join(unknown)}.",
            next_step=f"choose some of: {', '.join(SERVICES)}",
        )
    wanted: dict[str, int] = {}
    if "kafka" in names and not any(name.startswith("kafka") for name in plan.ports):
        wanted |= dict.fromkeys(kafka.broker_names(brokers), 2)
    if {"postgres", "mlflow"} & set(names):
        wanted["postgres"] = 1
    if "mlflow" in names:
        wanted["mlflow"] = 1
    taken = {port for ports in plan.ports.values() for port in ports}
    ports: dict[str, tuple[int, ...]] = {}
    for name, count in wanted.items():
        if plan.ephemeral and name in plan.ports:
            continue
        if plan.ephemeral:
            ports[name] = free_ports(count, taken=taken)
            taken |= set(ports[name])
        else:
            ports[name] = _fixed_ports(name, count, settings)
    return plan.with_ports(ports)


def _fixed_ports(name: str, count: int, settings: Settings) -> tuple[int, ...]:
    service, _, number = name.partition("-")
    base: int = getattr(settings, _SETTINGS[service])
    offset = int(number) - 1 if number else 0
    # A controller listens ten above its broker.
    return tuple(base + offset + 10 * step for step in range(count))


def _expanded(names: Collection[str], plan: Plan) -> list[str]:
    wanted = set(names)
    if "mlflow" in wanted:
        wanted.add("postgres")
    return [name for name in plan.ports if name.split("-")[0] in wanted]


def _postgres(layout: Layout, plan: Plan) -> postgres.Server:
    return postgres.Server(
        folder=layout.folder / "postgres",
        secrets=layout.secrets,
        port=plan.ports["postgres"][0],
    )


def _brokers(layout: Layout, plan: Plan) -> kafka.Brokers:
    pairs = [ports for name, ports in plan.ports.items() if name.split("-")[0] == "kafka"]
    return kafka.Brokers(
        folder=layout.folder,
        cluster_id=plan.cluster_id,
        ports=tuple((client, controller) for client, controller in pairs),
        memory_mb=plan.memory_mb,
        cache=Path(plan.cache),
        properties=plan.properties,
    )
