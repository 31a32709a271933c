"""All of it at once: services, Dagster and ingest, the doctor's findings, and nothing left over."""

import os
import subprocess
import sys

import psutil
import pytest

from flywheel.deployment.connections import connection_findings
from flywheel.deployment.programs import run_applications
from flywheel.services.supervisor import leftovers
from flywheel.services.supervisor.health import answers
from flywheel.settings import load_settings

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]


def test_everything_comes_up_is_well_and_goes(own_services, repository, tmp_path):
    """Each program serves, the doctor finds all connections well and prints no secret."""
    services = own_services("kafka", "postgres", "mlflow", "label-studio")
    settings = load_settings(profile="services", services=services.folder, home=tmp_path / "home")

    applications = ["dagster", "ingest", "webhooks", "gateway", "desk"]
    run_applications(services, settings, applications, project=repository)

    plan = services.plan
    paths = {
        "dagster-webserver": "server_info",
        "ingest": "healthz",
        "webhooks": "healthz",
        "gateway": "healthz",
        "desk": "healthz",
    }
    for name, path in paths.items():
        assert answers(f"http://127.0.0.1:{plan.applications[name].ports[0]}/{path}"), name
    findings = {finding.what: finding for finding in connection_findings(settings)}
    assert set(findings) == {
        "Kafka", "topics", "state's database", "MLflow", "Dagster's database", "services",
        "Label Studio", "webhooks",
    }  # fmt: skip
    assert [finding for finding in findings.values() if not finding.good] == []
    assert "Kafka 4.3" in findings["Kafka"].detail
    assert "PostgreSQL 18" in findings["state's database"].detail
    assert "Label Studio 1.23" in findings["Label Studio"].detail

    environment = os.environ | {
        "FLYWHEEL_PROFILE": "services",
        "FLYWHEEL_SERVICES": str(services.folder),
        "FLYWHEEL_HOME": str(tmp_path / "home"),
    }
    shown = ""
    for command in (["doctor"], ["services", "status"]):
        done = subprocess.run(
            [sys.executable, "-m", "flywheel.cli", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        shown += done.stdout + done.stderr
    assert "PostgreSQL 18" in shown
    for secret in services.layout.secrets.iterdir():
        assert secret.read_text() not in shown

    services.kill("dagster-daemon")
    findings = {finding.what: finding for finding in connection_findings(settings)}
    assert findings["services"].detail.startswith("Not running: dagster-daemon.")
    services.start("dagster-daemon")
    ports = {port for each in plan.ports.values() for port in each}
    ports |= {port for each in plan.applications.values() for port in each.ports}
    services.close()
    assert leftovers.find(services.folder) == []
    listening = {c.laddr.port for c in psutil.net_connections("tcp") if c.status == "LISTEN"}
    assert not ports & listening


def test_the_doctor_names_what_is_refused(own_services, tmp_path):
    """A wrong password, a missing right and a missing database are told without the password."""
    import sqlalchemy

    services = own_services("postgres")
    url = services.connections.state_url
    assert url is not None
    engine = sqlalchemy.create_engine(services.create_database("closed"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("revoke create on schema public from public"))
        connection.execute(sqlalchemy.text("alter schema public owner to pg_database_owner"))
    engine.dispose()
    mlflow = services.connections.dagster_url
    assert mlflow is not None
    cases = {
        url.replace(":", ":wrong", 2).replace("wrong//", "//"): "correct user, password",
        url.rsplit("/", 1)[0] + "/nowhere": 'database "nowhere" does not exist',
        mlflow.rsplit("/", 1)[0] + "/closed": "may not create tables in closed",
    }
    for given, told in cases.items():
        settings = load_settings(profile="embedded", home=tmp_path, dagster_url=given)
        (finding,) = connection_findings(settings)
        assert not finding.good
        assert told in finding.detail
        assert sqlalchemy.make_url(given).password not in finding.detail
