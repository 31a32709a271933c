"""What the error of a query means: the query is wrong, or a file cannot be read now."""

import duckdb
import pytest
from fsspec import AbstractFileSystem
from pyarrow.fs import LocalFileSystem

from flywheel.errors import UnavailableError
from flywheel.lake.location import LakeLocation
from flywheel.lake.object_path import ObjectPath
from flywheel.lake.query_errors import could_not_read, read_error


class _Away(AbstractFileSystem):
    protocol = "away"

    def info(self, path, **_):
        raise OSError(f"AWS Error NETWORK_CONNECTION during HeadObject of {path}")

    glob = _open = ls = info


@pytest.fixture
def remote(tmp_path):
    """Return the location of a lake in a bucket."""
    return LakeLocation(ObjectPath("s3://bucket/lake", LocalFileSystem()), tmp_path)


def _failed(sql):
    with duckdb.connect() as connection:
        connection.register_filesystem(_Away(skip_instance_cache=True))
        with pytest.raises(duckdb.Error) as caught:
            connection.sql(sql).fetchall()
    return caught.value


def test_a_store_that_goes_away_in_a_query_may_come_back(remote):
    """Its error comes through DuckDB as a Python traceback, and is one that may pass."""
    error = _failed("SELECT * FROM read_parquet(['away://bucket/one.parquet'])")
    assert could_not_read(error, remote)
    assert isinstance(read_error(error, remote), UnavailableError)


def test_a_query_that_is_wrong_stays_wrong(remote):
    """Whatever it says in its texts."""
    assert not could_not_read(_failed("SELECT 'OSError' FROM nothing"), remote)
