"""Grafana's dashboard of the gateway: every query has a metric and labels of a real scrape."""

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from flywheel.errors import UnavailableError
from flywheel.gateway.answered import Serving
from flywheel.gateway.app import build_app
from flywheel.gateway.arms import Portion, RouteSnapshot
from flywheel.workload.privacy import PrivacyRules
from tests.fakes.gateway_world import GatewayWorld, header
from tests.fakes.openai_upstream import fake_upstream
from tests.fakes.waiting import wait_until

_METRIC = re.compile(r"\b(?:flywheel|process)_\w+")


@pytest.fixture
def dashboard(repository):
    """Return the dashboard."""
    return json.loads((repository / "deploy" / "grafana" / "gateway.json").read_text())


@pytest.fixture
def scrape(tmp_path):
    """Return the labels of each sample of a gateway that saw every kind of request."""
    world = GatewayWorld(tmp_path)
    workload = world.workload.model_copy(update={"privacy": PrivacyRules()})
    world.serving[workload.id] = Serving(workload, "tiny", world.batcher)
    world.replies.errors["r2"] = UnavailableError("away")
    message = {"role": "user", "content": "write to a@example.com"}
    body = {"model": workload.id, "messages": [message]}
    said = {"model": workload.id, "inference_id": "i1", "kind": "boolean", "value": True}
    with TestClient(build_app(world.gateway)) as http:
        for snapshot in (
            RouteSnapshot("r1"),
            RouteSnapshot("r1", canary=Portion("r2", 1.0)),
            RouteSnapshot("r1", shadow=Portion("r3", 1.0)),
        ):
            world.snapshot = snapshot
            answer = http.post("/v1/chat/completions", headers=header(), json=body)
            assert answer.status_code == 200
        assert http.post("/v1/feedback", headers=header(), json=said).status_code == 200
        with fake_upstream() as upstream:
            world.add_tiers(upstream.url, per_day=1)
            world.replies.confidence = 0.1
            for _ in range(2):
                http.post("/v1/chat/completions", headers=header(), json=body)
        wait_until(lambda: "flywheel_gateway_shadows_total{" in http.get("/metrics").text)
        text = http.get("/metrics").text
    world.close()
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _queries(dashboard):
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return queries + [
        variable["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]


def test_every_query_names_metrics_and_labels_that_are_scraped(dashboard, scrape):
    """A metric that is renamed breaks no panel unseen."""
    queries = _queries(dashboard)
    assert len(queries) > 12
    for query in queries:
        names = _METRIC.findall(query)
        assert names, query
        labels = set(re.findall(r"(\w+)=~?\"", query))
        labels |= {
            label.strip()
            for group in re.findall(r"by \(([^)]*)\)", query)
            for label in group.split(",")
        }
        for name in names:
            assert name in scrape, f"{name} is not scraped: {query}"
            assert labels <= scrape[name], f"{name} has no label of {labels}: {query}"


def test_panels_do_not_overlap_and_cover_what_the_gateway_counts(dashboard, scrape):
    """Requests, errors, latency, tokens, spool, masked items: each on a panel."""
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    shown = {name for query in _queries(dashboard) for name in _METRIC.findall(query)}
    ours = {
        re.sub(r"_(created|bucket|sum|count)$", "", name)
        for name in scrape
        if name.startswith("flywheel_") and not name.endswith("_created")
    }
    assert ours <= {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
