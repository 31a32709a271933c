"""What a client received is in the log, whenever the gateway is killed."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.events import INFERENCES_TOPIC
from flywheel.services.supervisor.network import free_ports
from flywheel.state import State
from flywheel.usecases.landing import land
from flywheel.wiring import Platform, open_event_log
from tests.fakes.dagster_programs import REPOSITORY
from tests.fakes.gateway_world import build_gateway_home, header
from tests.fakes.waiting import wait_until

pytestmark = pytest.mark.slow
KILLS = 2


class GatewayProcess:
    """`flywheel gateway` on a deployment, and four clients that ask it until it is away."""

    def __init__(self, folder: Path) -> None:
        self.settings, self.workload = build_gateway_home(folder)
        self._copy_all_requests()
        self._listen()

    def beside(self) -> "GatewayProcess":
        """Return another one on the same home."""
        other = object.__new__(GatewayProcess)
        other.settings, other.workload = self.settings, self.workload
        other._listen()
        return other

    def _listen(self) -> None:
        (self.port,) = free_ports(1)
        self.received: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def _copy_all_requests(self) -> None:
        # The base is its own shadow: every answer costs the gateway a second event.
        state = State.open(self.settings.state_database, SystemClock(), home=self.settings.home)
        with state.leases.hold(f"champion:{self.workload.id}") as lease:
            state.routes.set_stage(
                self.workload.id, "shadow", release="base", weight=1.0, reason="a test", lease=lease
            )
        state.close()

    def start(self) -> None:
        """Start the program and wait until it is ready."""
        environment = os.environ | {
            "FLYWHEEL_HOME": str(self.settings.home),
            "FLYWHEEL_WORKLOADS": str(self.settings.workloads),
        }
        command = [sys.executable, "-m", "flywheel.cli", "gateway", "--port", str(self.port)]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
        wait_until(lambda: self.request("GET", "/readyz")[0] == 200)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the program."""
        self._process.send_signal(number)
        self._process.wait(timeout=60)

    def request(self, method: str, path: str, body: dict | None = None) -> tuple[int, str]:
        """Return status and body; 0 where the connection failed at any moment."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body), headers=header())
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def ask_until_away(self, name: str) -> None:
        """Ask one question after another, and remember every answer that arrived whole."""
        for number in range(10_000):
            messages = [{"role": "user", "content": f"the seal {name} {number} leaks"}]
            body = {"model": self.workload.id, "messages": messages, "stream": number % 2 == 0}
            status, text = self.request("POST", "/v1/chat/completions", body)
            if status == 0:
                return
            assert status == 200, text
            if text.endswith(("[DONE]\n\n", "}")):
                self.received[_id_of(text)] = messages[0]["content"]

    def logged(self) -> dict[str, str]:
        """Return the input of every answer that left, in the log, by its id."""
        return {
            e["inference_id"]: e["request"]["messages"][-1]["content"]
            for e in self.events()
            if e["route"] == "champion"
        }

    def events(self) -> list[dict]:
        """Return every event of the log."""
        log = open_event_log(self.settings, SystemClock())
        consumer = log.consumer(INFERENCES_TOPIC, group="test")
        events = []
        while records := consumer.poll(maximum=10_000, timeout_seconds=0):
            events += [json.loads(record.value) for record in records]
        consumer.close()
        log.close()
        return events


def _id_of(text: str) -> str:
    line = text.partition("\n")[0].removeprefix("data: ")
    return json.loads(line)["id"].removeprefix("chatcmpl-")


def test_a_killed_gateway_loses_no_answer_that_a_client_received(tmp_path):
    """Killed twice under load; after the last start the log has them all."""
    gateway = GatewayProcess(tmp_path)
    for kill in range(KILLS):
        gateway.start()
        clients = [
            threading.Thread(target=gateway.ask_until_away, args=(f"{kill}-{client}",))
            for client in range(4)
        ]
        for client in clients:
            client.start()
        goal = len(gateway.received) + 20
        wait_until(lambda goal=goal: len(gateway.received) >= goal)
        gateway.kill()
        for client in clients:
            client.join()
    gateway.start()
    wait_until(lambda: gateway.received.items() <= gateway.logged().items())
    gateway.kill(signal.SIGTERM)
    assert len(gateway.received) >= 20 * KILLS
    copies = [event for event in gateway.events() if event["route"] == "shadow"]
    assert copies
    assert {copy["shadow_of"] for copy in copies} <= gateway.logged().keys()


def test_two_gateways_serve_one_home_and_one_of_them_is_killed_for_good(tmp_path):
    """Each has a spool of its own, and what the killed one left is sent by the other."""
    first = GatewayProcess(tmp_path)
    second = first.beside()
    for gateway in (first, second):
        gateway.start()
    clients = [
        threading.Thread(target=gateway.ask_until_away, args=(f"{name}-{client}",))
        for name, gateway in (("first", first), ("second", second))
        for client in range(2)
    ]
    for client in clients:
        client.start()
    wait_until(lambda: min(len(first.received), len(second.received)) >= 10)
    first.kill()
    goal = len(second.received) + 10
    wait_until(lambda: len(second.received) >= goal)
    place = first.settings.home / "gateway"
    assert {file.parent.name for file in place.rglob("spool.db")} == {"gateway", "process-2"}
    received = first.received | second.received
    wait_until(lambda: received.items() <= second.logged().items())
    second.kill(signal.SIGTERM)
    for client in clients:
        client.join()
    received = first.received | second.received
    third = first.beside()
    third.start()  # takes the first place again, and sends what the second had left
    wait_until(lambda: received.items() <= third.logged().items())
    third.kill(signal.SIGTERM)
    platform = Platform(first.settings)
    land(platform)
    rows = platform.lake.rows(
        "SELECT inference_id, count(*) AS n FROM first_inferences GROUP BY ALL"
    )
    platform.close()
    assert {row["inference_id"] for row in rows} >= received.keys()
    assert {row["n"] for row in rows} == {1}
