import stat

import pytest

from flywheel.errors import StorageError
from flywheel.services import postgres


def _server(folder):
    (folder / "secrets").mkdir()
    return postgres.Server(folder=folder / "postgres", secrets=folder / "secrets", port=5433)


def test_data_of_another_version_is_refused(tmp_path, monkeypatch):
    """The error names both versions and the ways out."""
    server = _server(tmp_path)
    monkeypatch.setattr(postgres, "_ROOTS_PLACE", tmp_path / "var")
    data = postgres.data_folder(server.folder)
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(StorageError, match="made by PostgreSQL 15, and this is 18") as caught:
        postgres.prepare(server)
    assert "pg_upgrade" in caught.value.next_step


def test_the_way_to_roots_data_is_open_to_the_servers_user(tmp_path, monkeypatch):
    """Also where something else made the folder for root alone."""
    place = tmp_path / "var"
    place.mkdir(mode=0o700)
    monkeypatch.setattr(postgres, "_ROOTS_PLACE", place)
    postgres._make_passable(place / "of-a-test")
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "of-a-test").stat().st_mode) == 0o755


def test_a_password_is_made_once_and_for_its_owner_alone(tmp_path):
    """Every role has its own, and the next start reads the same."""
    server = _server(tmp_path)
    first = postgres.password(server, "flywheel")
    assert postgres.password(server, "flywheel") == first
    assert postgres.password(server, "mlflow") != first
    assert stat.S_IMODE((server.secrets / "flywheel").stat().st_mode) == 0o600


def test_a_database_has_a_role_of_its_own(tmp_path):
    """The URL names role, port and database."""
    url = postgres.database_url(_server(tmp_path), "mlflow")
    assert url.startswith("postgresql+psycopg2://mlflow:")
    assert url.endswith("@127.0.0.1:5433/mlflow")
