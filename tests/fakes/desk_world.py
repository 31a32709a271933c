"""A release desk on a small workload, with a person of each role and a browser of each person."""

import html
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
from starlette.testclient import TestClient

from flywheel.artifacts.references import SnapshotRef
from flywheel.artifacts.snapshot import open_snapshot
from flywheel.desk.app import build_app
from flywheel.desk.sign_in_limit import SignInLimit
from flywheel.lake.tables import TABLES
from flywheel.release.registry import MlflowRegistry
from flywheel.settings import Settings
from flywheel.state import Cycle
from flywheel.usecases.people import add_person
from flywheel.wiring import Platform
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.small_deployment import build_base
from tests.fakes.workload_file import put_workload

__all__ = ["ADDRESS", "DeskWorld", "fields_of"]

ADDRESS = "http://desk.test"
PEOPLE = {
    "Vera": ("viewer",),
    "Lea": ("annotator_lead",),
    "Mara": ("approver",),
    "Ann": ("approver",),  # she owns the workload
    "Ada": ("admin",),
}


class DeskWorld:
    """A world of releases with the desk in front of it; ``tokens`` are by name."""

    def __init__(self, root: Path, registry: MlflowRegistry, **changes: Any) -> None:
        home = root / "home"
        home.mkdir(parents=True)
        self.world = ReleaseWorld(home, registry, **changes)
        put_workload(home / "workloads", self.world.workload)
        self.world.base = build_base(home, self.world)
        self.platform = Platform(
            Settings(home=home, workloads=home / "workloads", cache=root),
            self.world.clock,
            state=self.world.state,
            lake=self.world.lake,
            registry=registry,
            model_server=lambda _: self.world.server,
        )
        self.tokens: dict[str, str] = {}
        self.app = build_app(
            self.platform, limit=SignInLimit(self.platform, per_minute=600, burst=1000)
        )

    def add_people(self) -> None:
        """Register a person of each role."""
        self.tokens["Ada"] = add_person(
            self.platform, "Ada", roles=("admin",), by="Ada", token=None
        ).token
        for name, roles in PEOPLE.items():
            if name not in self.tokens:
                new = add_person(
                    self.platform, name, roles=roles, by=None, token=self.tokens["Ada"]
                )
                self.tokens[name] = new.token

    def close(self) -> None:
        """Let go of the stores."""
        self.platform.close()
        self.world.close()

    def browser(self, **options: Any) -> TestClient:
        """Return a browser in which nobody is signed in; it names its origin as browsers do."""
        headers = {"origin": ADDRESS}
        return TestClient(
            self.app, base_url=ADDRESS, headers=headers, follow_redirects=False, **options
        )

    def signed_in(self, name: str) -> TestClient:
        """Return a browser in which a person is signed in."""
        browser = self.browser()
        done = browser.post("/sign-in", data={"token": self.tokens[name]})
        assert done.status_code == 303, done.text
        return browser

    def judged(self, release: str, opened_by: str = "system", **how: Any) -> Cycle:
        """Bring a candidate up to the gate's verdict, its snapshot recorded with the attempt."""
        cycle = self.world.open_cycle(opened_by=opened_by)
        trained = self.world.train(cycle, release, **how)
        snapshot = open_snapshot(trained.lineage.dataset_folder)
        dataset = SnapshotRef(snapshot.folder, snapshot.hash, snapshot.counts)
        self.world.state.attempts.record(cycle.ref, trained.attempt, dataset)
        self.world.gate(cycle, release)
        return cycle

    def relabel(self, snapshot: str, cycle: str, *, then: str, now: str) -> None:
        """Let a row of a snapshot be corrected after it was built."""
        workload_id = self.world.workload.id
        member = {
            "workload_id": workload_id,
            "snapshot": snapshot,
            "cycle": cycle,
            "split": "golden",
            "inference_id": "golden-1",
            "correction_id": "c-golden-1",
            "label_id": then,
        }
        correction = {
            "workload_id": workload_id,
            "correction_id": "c-golden-1",
            "version": 2,
            "status": "accepted",
            "inference_id": "golden-1",
            "label_id": now,
            "source": "review",
            "accepted_at": self.world.clock.now(),
        }
        self.append("dataset_rows", member)
        self.append("corrections", correction)

    def append(self, table: str, *rows: dict[str, Any]) -> None:
        """Append rows to a table of the lake; a column that a row lacks is null."""
        schema = TABLES[table].schema
        columns = {name: [row.get(name) for row in rows] for name in schema.names}
        self.world.lake.append(table, pa.table(columns, schema=schema))

    def path(self, cycle: Cycle) -> str:
        """Return the address of a cycle's page."""
        return f"/workloads/{cycle.workload_id}/cycles/{cycle.name}"


def fields_of(page: str, action_end: str) -> dict[str, str]:
    """Return the hidden fields of the form whose address ends so."""
    [form] = re.findall(rf'<form[^>]*action="[^"]*{action_end}".*?</form>', page, re.DOTALL)
    pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in pairs}
