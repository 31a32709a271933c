"""Imports share one listing of the installed packages, and nothing else does."""

import importlib.metadata

import pytest

from flywheel.io.package_listing import one_package_listing


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return what grows with every listing."""
    made: list[None] = []

    def listing() -> dict[str, list[str]]:
        made.append(None)
        return {"yaml": ["PyYAML"]}

    monkeypatch.setattr(importlib.metadata, "packages_distributions", listing)
    return made


def test_packages_are_listed_once(listings: list[None]):
    """Two libraries that ask get the same answer; afterwards packages are listed as usual."""
    with one_package_listing():
        answers = [importlib.metadata.packages_distributions() for _ in range(2)]
    assert answers == [{"yaml": ["PyYAML"]}] * 2
    assert len(listings) == 1
    importlib.metadata.packages_distributions()
    assert len(listings) == 2


def test_an_import_that_fails_leaves_nothing_behind(listings: list[None]):
    """The function is Python's own again."""
    before = importlib.metadata.packages_distributions
    with pytest.raises(ImportError), one_package_listing():
        raise ImportError
    assert importlib.metadata.packages_distributions is before
