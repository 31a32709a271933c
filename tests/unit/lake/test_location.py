"""Where a lake lies: messages without credentials, and what an error of a store means."""

import pytest
from pyarrow.fs import LocalFileSystem

from flywheel.errors import StorageError, UnavailableError
from flywheel.lake import Lake
from flywheel.lake.location import LakeLocation, without_secrets
from flywheel.lake.object_path import ObjectPath

_REFUSED = """Kernel error \x1b[31m-> Generic S3 error
 <?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code><Message>Check your key.</Message>
<AWSAccessKeyId>AKIAPRIVATE</AWSAccessKeyId><StringToSign>AWS4 very private</StringToSign></Error>"""


@pytest.fixture
def location(tmp_path):
    """Return the location of a lake in a bucket that is never asked."""
    return LakeLocation(ObjectPath("s3://bucket/lake", LocalFileSystem()), tmp_path)


def test_a_message_holds_no_credentials(monkeypatch):
    """Neither those that a store quotes, nor any value of the variables."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    text = without_secrets(f"{_REFUSED} with topsecret")
    assert text == (
        "Kernel error -> Generic S3 error SignatureDoesNotMatch: Check your key. with ***"
    )


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("AWS Error NETWORK_CONNECTION during HeadObject", UnavailableError, "does not answer"),
        ("status 503 SlowDown", UnavailableError, "does not answer"),
        ("AWS Error INTERNAL_FAILURE during GetObject", UnavailableError, "does not answer"),
        (_REFUSED, StorageError, "refuses these credentials"),
        ("<Error><Code>NoSuchBucket</Code></Error>", StorageError, "no such bucket"),
        ("something else", StorageError, "something else"),
    ],
)
def test_an_error_of_a_store_says_what_to_do(location, text, kind, words):
    """What may pass is retried, what a person must settle is not."""
    error = location.error("It failed", OSError(text))
    assert isinstance(error, kind)
    assert words in error.message
    assert error.next_step


def test_plain_http_is_allowed_where_the_address_says_so(location, monkeypatch):
    """And conditional writes are asked for in any case."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert location.delta_options["aws_conditional_put"] == "etag"
    assert "allow_http" not in location.delta_options
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert location.delta_options["allow_http"] == "true"


def test_no_query_shows_the_keys_of_a_lake(tmp_path):
    """DuckDB keeps httpfs's keys as secrets, which a query may list without their values."""
    lake = Lake(tmp_path / "lake")
    assert lake.rows("SELECT current_setting('allow_unredacted_secrets') AS allowed") == [
        {"allowed": False}
    ]
