"""Values that could not work are refused when they are rendered, with what to do."""

import inspect

import pytest

from flywheel.events import INFERENCES_TOPIC
from flywheel.ingest.consume import IngestConsumer
from tests.run.chart import refusal, render, validate
from tests.unit.chart.reading import of_kind


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("settings.FLYWHEEL_HASH_KEY=x", "put it into the Secret"),
        ("mlflow.url=http://ann:word@mlflow", "give the address alone"),
        ("lake.url=", "s3://bucket/folder"),
        ("vllm.enabled=true", "name at least one base"),
        ("vllm.enabled=true,vllm.bases[0].digest=0123456789abcdef", "each has a folder"),
        ("vllm.enabled=true,vllm.bases[0].folder=/b", "each has a digest"),
        (
            "vllm.enabled=true,vllm.bases[0].folder=/b,vllm.bases[0].digest=tiny",
            "not 16 characters",
        ),
        ("ingest.autoscaling.kind=lag", "one of none, keda, hpa"),
        ("gateway.ingress.enabled=true,gateway.ingress.host=a.example.com", "brings TLS"),
    ],
)
def test_what_could_not_work_is_refused(assignment, reason):
    """The message names the value."""
    assert reason in refusal(assignment)


def test_keda_asks_for_the_lag_of_ingest():
    """Group and topic are those of the code."""
    [trigger] = of_kind(render("everything"), "ScaledObject")["demo-ingest"]["spec"]["triggers"]
    group = inspect.signature(IngestConsumer).parameters["group"].default
    assert trigger["metadata"]["consumerGroup"] == group
    assert trigger["metadata"]["topic"] == INFERENCES_TOPIC


def test_the_schemas_notice_a_wrong_field():
    """A misspelled field is refused, and not ignored as a cluster would."""
    import kubernetes_validate

    service = of_kind(render("small"), "Service")["demo-gateway"]
    with pytest.raises(kubernetes_validate.ValidationError):
        validate([{**service, "spec": {**service["spec"], "selectors": {}}}])
