"""What services renew is read from their file of settings at the moment it is asked for."""

import pytest

from flywheel.services.connections import Connections, extend_connections, write_connections
from flywheel.settings import connection, load_settings


@pytest.fixture
def folder(tmp_path):
    """Return a folder of services with one connection."""
    write_connections(Connections(label_studio_token="old"), tmp_path)  # noqa: S106 - no password
    return tmp_path


def test_a_renewed_value_is_read_by_who_started_before(folder):
    """The settings stay what they were; the connection is what the file says now."""
    settings = load_settings(profile="services", services=folder)
    extend_connections({"label_studio_token": "new"}, folder)
    assert settings.label_studio_token.get_secret_value() == "old"
    assert connection(settings, "label_studio_token") == "new"
    assert connection(settings, "vllm_token") is None


def test_where_nobody_asked_services_there_is_nothing_to_renew(folder):
    """With addresses of one's own, or after the services went, there is no newer value."""
    own = load_settings(profile="embedded", services=folder)
    assert connection(own, "label_studio_token") is None
    settings = load_settings(profile="services", services=folder)
    (folder / "connections.toml").unlink()
    assert connection(settings, "label_studio_token") is None
