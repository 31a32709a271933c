"""Clients ask a running gateway all the while its route table changes."""

import threading
import time
from dataclasses import dataclass, field

import openai
import pytest

from flywheel.artifacts.base_folder import cached_folder
from flywheel.deployment.gateway_program import gateway_in_thread
from flywheel.usecases.gateway import open_gateway
from flywheel.usecases.landing import land
from flywheel.wiring import Platform
from tests.fakes.gateway_world import KEY, build_gateway_home
from tests.fakes.model_server import FakeModelServer
from tests.fakes.swaps import recorded, switch
from tests.fakes.waiting import wait_until

# Every release gives an answer of its own, so that an answer shows who gave it.
ANSWERS = {"base": "seal", "r1": "weld", "r2": "paint"}
# A change is noticed within a second; a busy test machine gets one more.
NOTICED_SECONDS = 2.0
SETTLING_SECONDS = 1.2


@dataclass
class Client(threading.Thread):
    """Asks one question after the other and remembers every answer."""

    url: str
    number: int
    end: threading.Event
    answers: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(name=f"client-{self.number}", daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self):
        """Ask until the end, as ever other people."""
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0)
        count = 0
        while not self.end.is_set():
            count += 1
            started = time.monotonic()
            try:
                raw = client.chat.completions.with_raw_response.create(
                    model="parts",
                    messages=[{"role": "user", "content": f"report {self.number}/{count}"}],
                    user=f"person {self.number}-{count % 40}",
                )
            except openai.OpenAIError as error:
                self.failures.append(error)
                continue
            self.answers.append(
                {
                    "started": started,
                    "ended": time.monotonic(),
                    "release": raw.headers["x-flywheel-release"],
                    "route": raw.headers["x-flywheel-route"],
                    "id": raw.headers["x-flywheel-inference-id"],
                    "content": raw.parse().choices[0].message.content,
                }
            )


class Table:
    """Changes the route table, and remembers which releases it named when."""

    def __init__(self, platform) -> None:
        self.state, self.named = platform.state, []
        self.remember()

    def remember(self):
        """Note what the table names now."""
        routes = self.state.routes.of("parts")
        names = {route.release for route in routes if route.route != "shadow"}
        self.named.append((time.monotonic(), frozenset(names or {"base"})))

    def stage(self, route, weight):
        """Put r2 on a stage route."""
        with self.state.leases.hold("champion:parts") as lease:
            self.state.routes.set_stage(
                "parts", route, release="r2", weight=weight, reason="a test", lease=lease
            )
        self.remember()

    def clear(self):
        """Take r2 off both of them."""
        with self.state.leases.hold("champion:parts") as lease:
            self.state.routes.clear_stages("parts", lease=lease)
        self.remember()

    def champion(self, release):
        """Make a release the champion, in one step with the end of its canary."""
        with self.state.transaction(), self.state.leases.hold("champion:parts") as lease:
            self.state.routes.clear_stages("parts", lease=lease)
        switch(self.state, "parts", release)
        self.remember()

    def names_during(self, start, end):
        """Return every release that was named at some moment of a period."""
        before = [names for at, names in self.named if at <= start][-1:]
        within = [names for at, names in self.named if start < at <= end]
        return frozenset().union(*before, *within)


def _base(folder):
    # The model server stands in for the model: a base is but a name.
    def make(target):
        (target / "config.json").write_text('{"hidden_size": 8}')
        (target / "model.safetensors").write_bytes(b"weights")
        return {"name": "tiny"}

    return cached_folder(folder / "cache", "tiny-0123456789abcdef", make)


@pytest.fixture
def platform(tmp_path):
    """Return a deployment whose model server answers with the name of the release."""
    settings, workload = build_gateway_home(tmp_path, _base(tmp_path))
    platform = Platform(settings)
    replies = {name: lambda _, said=said: said for name, said in ANSWERS.items()}
    platform._servers._servers[platform.base(workload).folder] = FakeModelServer(replies)
    for name in ("r1", "r2"):
        recorded(platform.state, workload, name, tmp_path / "adapters")
    yield platform
    platform.close()


def test_no_request_fails_while_releases_come_and_go(platform):
    """Shadow, canary, rollback and promotion under load: logged is what was answered.

    Nobody gets an answer of a release that the table did not name, also where the model server
    unloads it at once.
    """
    server = platform.server(platform.workload("parts"))
    table, end, routes = Table(platform), threading.Event(), {}
    with gateway_in_thread(platform) as url:
        clients = [Client(url, number, end) for number in range(4)]
        for client in clients:
            client.start()

        def phase(name):
            time.sleep(SETTLING_SECONDS)
            marks = [len(client.answers) for client in clients]
            wait_until(lambda: _count(clients) > sum(marks) + 30 or _failures(clients), seconds=60)
            newest = [
                answer
                for client, mark in zip(clients, marks, strict=True)
                for answer in client.answers[mark:]
            ]
            routes[name] = {answer["route"] for answer in newest}

        table.champion("r1")
        phase("champion")
        table.stage("shadow", 1.0)
        phase("shadow")
        table.stage("canary", 0.1)
        phase("canary of 10 %")
        table.stage("canary", 0.5)
        phase("canary of 50 %")
        table.clear()
        server.unload("r2")  # harsher than a rollback, which waits for the last request
        phase("rolled back")
        table.stage("canary", 0.5)
        phase("canary again")
        table.champion("r2")
        phase("promoted")
        table.champion("r1")
        server.unload("r2")
        phase("champion again")
        end.set()
        for client in clients:
            client.join()
    with open_gateway(platform):  # what the first had not sent yet is sent now
        pass
    land(platform)
    answers = [answer for client in clients for answer in client.answers]
    assert _failures(clients) == []
    for answer in answers:
        named = table.names_during(answer["started"] - NOTICED_SECONDS, answer["ended"])
        assert answer["release"] in named, (answer, table.named)
        assert answer["content"] == ANSWERS[answer["release"]]
    assert "canary" in routes["canary of 50 %"]
    assert "canary" not in routes["rolled back"] | routes["champion again"]
    _require_logged(platform, answers)


def _count(clients):
    return sum(len(client.answers) for client in clients)


def _failures(clients):
    return [failure for client in clients for failure in client.failures]


def _require_logged(platform, answers):
    rows = platform.lake.rows("SELECT inference_id, release, route FROM answered_inferences")
    logged = {row["inference_id"]: (row["release"], row["route"]) for row in rows}
    assert logged == {a["id"]: (a["release"], a["route"]) for a in answers}
    assert len(rows) == len(answers)
    shadows = platform.lake.rows("SELECT shadow_of, release FROM inferences WHERE route = 'shadow'")
    assert {row["release"] for row in shadows} == {"r2"}
    assert {row["shadow_of"] for row in shadows} <= logged.keys()
    failed = platform.lake.rows(
        "SELECT shadow_of FROM inferences WHERE route = 'canary' AND shadow_of IS NOT NULL"
    )
    assert {logged[row["shadow_of"]][1] for row in failed} <= {"fallback"}
