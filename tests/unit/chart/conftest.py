"""Helm for the tests of the chart; continuous integration must have it."""

import os

import pytest

from tests.run.chart import VALUE_SETS, find_helm, pods, render


@pytest.fixture(autouse=True)
def helm():
    """Skip with the reason where there is no helm; CI fails instead, as `make check` does."""
    if find_helm() is None:
        reason = "no helm: `make check` builds it where Go is"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@pytest.fixture(params=VALUE_SETS)
def values(request):
    """Each set of values in turn."""
    return request.param


@pytest.fixture
def manifests(values):
    """Return what a set of values renders."""
    return render(values)


@pytest.fixture
def templates(values):
    """Return the pods of a set of values by name, the one of a run among them."""
    from tests.fakes.dagster_jobs import job_of_a_run

    return {**dict(pods(values)), "run": job_of_a_run(values)["spec"]["template"]}
