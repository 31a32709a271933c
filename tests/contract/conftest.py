"""The review queue of each adapter, with its answer desk."""

import pytest

from flywheel.review.label_studio.client import LabelStudioClient
from tests.fakes.review_queues import label_studio_queue, local_queue


@pytest.fixture(
    params=[
        "local",
        pytest.param(
            "label_studio", marks=[pytest.mark.services("label-studio"), pytest.mark.slow]
        ),
    ]
)
def queue(request, tmp_path):
    """Return an empty queue of each adapter."""
    if request.param == "local":
        opened = local_queue(tmp_path)
    else:
        server = request.getfixturevalue("label_studio")
        opened = label_studio_queue(LabelStudioClient(server.url, server.token))
    with opened as queue:
        yield queue
