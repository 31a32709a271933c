"""`python -m bench.gateway_soak`: requests of the gateway while everything behind it is killed.

Clients ask through Kafka, vLLM and the gateway of `flywheel services`; the three are killed with -9
in turn and started again. What a client received must be in the lake, once.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import openai
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from flywheel.deployment.local_services import bring_up
from flywheel.deployment.programs import run_applications
from flywheel.errors import IntegrityError
from flywheel.io.patience import Patience, poll
from flywheel.services import Services
from flywheel.settings import load_settings
from flywheel.simulation.gateway_client import GatewayClient
from flywheel.simulation.traffic import SimulatedCall
from flywheel.usecases.keys import create_key
from flywheel.usecases.ledger import prove_ledger
from flywheel.wiring import Platform
from loop.stage import SIZES, WORKLOAD, Window, set_stage, write_workload

__all__ = ["GatewaySoak"]

_PROJECT = Path(__file__).parent.parent
_APPLICATIONS = ("vllm", "gateway", "ingest")
_VICTIMS = ("gateway", "kafka", "vllm")
_CLIENTS = 8
_DOWN_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
# After a failed request a client waits, as applications do: else what is away would be most asked.
_RETRY_SECONDS = 1.0
_LANDING_SECONDS = 300


@dataclass(frozen=True)
class GatewaySoak:
    """Counts of one run: ``unanswered`` requests failed, ``missing`` answers are not in the lake.

    ``recorded`` counts distinct inferences in the lake, failed requests among them; ``twice`` those
    of them that landed more than once.
    """

    sent: int
    answered: int
    unanswered: int
    recorded: int
    missing: int
    twice: int
    kills: dict[str, int]
    seconds: float

    def table(self) -> Table:
        """Lay the counts out."""
        made = Table(
            title=f"{self.sent:,} requests of the gateway, {sum(self.kills.values())} kills"
        )
        made.add_column("what")
        made.add_column("count", justify="right")
        for name, value in asdict(self).items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if name == "kills" else value
            made.add_row(name, f"{shown:,}" if isinstance(shown, int) else str(shown))
        return made


@dataclass
class _Clients:
    url: str
    key: str
    calls: list[SimulatedCall]
    wanted: int
    ids: list[str] = field(default_factory=list)
    failed: int = 0
    _numbers: "count[int]" = field(default_factory=count)

    def run(self) -> None:
        """Ask until enough requests were sent."""
        with GatewayClient.open(self.url, self.key, WORKLOAD) as client:
            while (number := next(self._numbers)) < self.wanted:
                call = self.calls[number % len(self.calls)]
                try:
                    answer = client.ask(call)
                except openai.OpenAIError:
                    self.failed += 1
                    time.sleep(_RETRY_SECONDS)
                else:
                    self.ids.append(answer.inference_id)

    @property
    def sent(self) -> int:
        """Number of requests that have ended."""
        return len(self.ids) + self.failed


def _kill(services: Services, name: str, console: Console) -> None:
    console.print(f"kill -9 {name}")
    services.kill(name)
    time.sleep(_DOWN_SECONDS)
    services.start(name)


def _ask(clients: _Clients, services: Services, kills: int, console: Console) -> dict[str, int]:
    killed = dict.fromkeys(_VICTIMS, 0)
    threads = [threading.Thread(target=clients.run) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("requests", total=clients.wanted)
        while any(thread.is_alive() for thread in threads):
            time.sleep(_PAUSE_SECONDS)
            progress.update(bar, completed=clients.sent)
            done = sum(killed.values())
            if done < kills and clients.sent >= (done + 1) * clients.wanted / (kills + 1):
                name = _VICTIMS[done % len(_VICTIMS)]
                _kill(services, name, console)
                killed[name] += 1
    return killed


def _recorded(platform: Platform) -> set[str]:
    rows = platform.lake.rows("select inference_id from first_inferences")
    return {row["inference_id"] for row in rows}


def soak(options: argparse.Namespace, folder: Path, console: Console) -> GatewaySoak:
    """Run everything in an empty folder, and return what was counted."""
    home = folder / "home"
    os.environ |= {"FLYWHEEL_HOME": str(home), "FLYWHEEL_WORKLOADS": str(home / "workloads")}
    sizes, window = SIZES["tiny"], Window.before(datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(hours=12)
    write_workload(home / "workloads", "tiny", sizes, window, later)
    embedded = load_settings(profile="embedded")
    with bring_up(embedded, ("kafka",), ephemeral=True, on_progress=console.print) as services:
        settings = load_settings(profile="services", services=services.folder, review_queue="local")
        platform = Platform(settings)
        console.print(set_stage(platform, sizes))
        key = create_key(platform, "soak", person="bench").key
        run_applications(
            services, settings, _APPLICATIONS, project=_PROJECT, on_progress=console.print
        )
        url = f"http://127.0.0.1:{services.plan.applications['gateway'].ports[0]}"
        calls = window.calls(platform.workload(WORKLOAD), sizes.events)
        clients = _Clients(url, key, calls, options.requests)
        began = time.monotonic()
        killed = _ask(clients, services, options.kills, console)
        seconds = time.monotonic() - began
        answered = set(clients.ids)
        poll(lambda: answered <= _recorded(platform), Patience(_LANDING_SECONDS), pause=2.0)
        recorded = _recorded(platform)
        proof = prove_ledger(platform)
        platform.close()
        if not proof.balances:
            raise IntegrityError("The ledger does not balance.", next_step="look at its report")
    return GatewaySoak(
        sent=clients.sent,
        answered=len(clients.ids),
        unanswered=clients.failed,
        recorded=len(recorded),
        missing=len(answered - recorded),
        twice=proof.ledger.duplicates,
        kills=killed,
        seconds=round(seconds, 1),
    )


def main() -> None:
    """Read the options, run, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        done = soak(options, Path(folder), console)
    console.print(done.table())
    if options.json:
        print(json.dumps(asdict(done)))  # noqa: T201 - for a program that reads it
    if done.missing:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
