"""The semantic version rule and the escaping of Markdown."""

from dataclasses import replace

import pytest

from flywheel.release.version import newest_release, next_version
from tests.fakes.state_rows import LINEAGE
from tests.fakes.state_rows import RELEASE as PROMOTED

RELEASE = replace(PROMOTED, release="r", version="1.9.3")


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({}, "1.9.4"),
        ({"taxonomy_version": 3}, "1.10.0"),
        ({"base_digest": "c"}, "2.0.0"),
        ({"task_digest": "u", "taxonomy_version": 3}, "2.0.0"),
    ],
)
def test_version_tells_what_changed(change, version):
    """Base, task or schema is major, taxonomy minor, everything else patch."""
    assert next_version(RELEASE, replace(LINEAGE, **change)) == version


def test_first_version_is_one():
    """The first promotion is 1.0.0."""
    assert next_version(None, LINEAGE) == "1.0.0"


def test_newest_release_is_by_number_and_not_by_text():
    """1.10.0 comes after 1.9.3; releases without a version do not count."""
    later = replace(RELEASE, release="s", version="1.10.0")
    nameless = replace(RELEASE, release="t", version=None)
    assert newest_release([later, RELEASE, nameless]) == later
    assert newest_release([nameless]) is None
