"""The gateway among the programs of a deployment, on the embedded adapters."""

import http.client
import json

import pytest

from flywheel.deployment.local_services import service_rows
from flywheel.deployment.programs import run_applications
from flywheel.services.supervisor.health import answers
from flywheel.settings import load_settings
from tests.fakes.gateway_world import build_gateway_home, header

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_gateway_is_a_program_like_the_others(own_services, repository, tmp_path, monkeypatch):
    """It is started, listed and answers with the local model; a killed one is started again."""
    services = own_services()
    home, workload = build_gateway_home(tmp_path)
    monkeypatch.setenv("FLYWHEEL_HASH_KEY", home.hash_key.get_secret_value())
    settings = load_settings(
        profile="services", services=services.folder, home=home.home, workloads=home.workloads
    )

    run_applications(services, settings, ["gateway"], project=repository)

    (port,) = services.plan.applications["gateway"].ports
    rows = {row.name: row for row in service_rows(settings).rows}
    assert (rows["gateway"].state, rows["gateway"].ports) == ("running", (port,))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    message = {"role": "user", "content": "the seal leaks oil"}
    body = json.dumps({"model": workload.id, "messages": [message]})
    connection.request("POST", "/v1/chat/completions", body, headers=header())
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status == 200, answer
    assert answer["choices"][0]["message"]["content"] in workload.taxonomy.names
    services.kill("gateway")
    services.start("gateway")
    assert answers(f"http://127.0.0.1:{port}/healthz")
