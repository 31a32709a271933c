"""What services renew is read from their file of settings at the moment it is asked for."""

import pytest

from flywheel.errors import ConfigurationError
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


@pytest.mark.parametrize(
    "url",
    ["s3://key:secret@bucket/lake", "s3://bucket/lake?secret_key=x", "s3://bucket", "ftp://a/b"],
)
def test_a_lake_is_a_bucket_and_a_folder(url):
    """Credentials in the URL would stand in manifests and errors, and are refused."""
    with pytest.raises(ConfigurationError, match="never in the URL"):
        load_settings(lake=url)


def test_a_lake_in_a_bucket_leaves_a_folder_in_the_home(tmp_path):
    """What this machine keeps beside it."""
    settings = load_settings(lake="s3://bucket/a/lake", home=tmp_path)
    assert settings.lake_folder == tmp_path / "lake"


def test_spark_needs_its_address():
    """The engine is not chosen without saying where it is, and no default stands in."""
    with pytest.raises(ConfigurationError, match="FLYWHEEL_SPARK_URL"):
        load_settings(lake_engine="spark")
    with pytest.raises(ConfigurationError, match="'duckdb' or 'spark'"):
        load_settings(lake_engine="trino")


@pytest.mark.parametrize("url", ["spark://host:7077", "sc://host/;token=secret", "localhost"])
def test_the_address_of_spark_is_that_of_spark_connect(url):
    """A token in the address would stand in messages."""
    with pytest.raises(ConfigurationError, match="FLYWHEEL_SPARK_TOKEN"):
        load_settings(lake_engine="spark", spark_url=url)


def test_spark_does_not_read_a_bucket():
    """A pair of settings that cannot work is refused before anything is read."""
    with pytest.raises(ConfigurationError, match="use duckdb there"):
        load_settings(lake_engine="spark", spark_url="sc://host:15002", lake="s3://bucket/lake")
