from flywheel.deployment.connections import connection_findings
from flywheel.deployment.findings import Finding, checked, masked
from flywheel.errors import UnavailableError
from flywheel.settings import load_settings


def _settings(**changes):
    return load_settings(**{"profile": "embedded", **changes})


def test_no_secret_of_the_settings_is_printed():
    """Whole URLs, their passwords and keys become stars, also where a password is encoded."""
    settings = _settings(
        state_url="postgresql://ann:ge%2Fheim@host/db",
        hash_key="salt",
        kafka_password="worst",  # noqa: S106 - made up
    )
    text = "postgresql://ann:ge%2Fheim@host/db ge/heim worst salt fine"
    assert masked(text, settings) == "*** *** *** *** fine"


def test_an_error_is_a_finding():
    """What a check raises is told with its next step."""

    def fails() -> str:
        raise UnavailableError("It is away.", next_step="wait")

    assert checked("x", fails) == Finding("x", False, "It is away. → wait")


def test_embedded_has_no_connections():
    """Nothing is asked that the settings do not name."""
    assert list(connection_findings(_settings())) == []


def test_services_that_are_away_say_what_to_do():
    """Each unreachable service is a finding with a next step and without its password."""
    settings = _settings(
        state_url="postgresql://ann:geheim@127.0.0.1:9/db",
        mlflow_url="http://ann:geheim@127.0.0.1:9",
        dagster_url="postgresql://ann:geheim@127.0.0.1:9/dagster",
    )
    findings = list(connection_findings(settings))
    assert [finding.good for finding in findings] == [False, False, False]
    for finding in findings:
        assert "flywheel services up" in finding.detail
        assert "geheim" not in finding.detail


def test_a_wrong_address_is_a_finding_without_the_address():
    """What could not be read may be a password."""
    findings = list(connection_findings(_settings(dagster_url="geheim")))
    assert not findings[0].good
    assert "geheim" not in findings[0].detail
