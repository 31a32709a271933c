import stat

import pytest

from flywheel.errors import StorageError
from flywheel.services import postgres


def _server(folder):
    (folder / "secrets").mkdir()
    return postgres.Server(folder=folder / "postgres", secrets=folder / "secrets", port=5433)


def test_data_of_another_version_is_refused(tmp_path):
    """The error names both versions and the ways out."""
    server = _server(tmp_path)
    data = postgres.data_folder(server.folder)
    data.mkdir(parents=True)
    try:
        (data / "PG_VERSION").write_text("15\n")
        with pytest.raises(StorageError, match="made by PostgreSQL 15, and this is 18") as caught:
            postgres.prepare(server)
    finally:
        (data / "PG_VERSION").unlink()
        data.rmdir()
        data.parent.rmdir()
    assert "pg_upgrade" in caught.value.next_step


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
