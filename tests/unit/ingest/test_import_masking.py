"""An import of a workload that masks personal data."""

import json

from flywheel.events import INFERENCES_TOPIC, EventContract
from flywheel.ingest.import_events import ImportOptions
from flywheel.ingest.import_records import import_records
from tests.fakes.event_makers import START, make_workload


def _call(text):
    message = {"role": "user", "content": text}
    return {
        "request": {"messages": [message]},
        "response": {
            "choices": [{"message": {"role": "assistant", "content": f"no idea, ask {text[-13:]}"}}]
        },
    }


def test_an_import_masks_and_counts_before_the_log(plane, tmp_path):
    """Neither the log nor the report holds the address; importing again brings nothing."""
    workload = make_workload(privacy={"kinds": ["email", "card"]})
    path = tmp_path / "calls.jsonl"
    lines = [
        _call("mail a@example.com"),
        _call("it hums at 4111111111111111"),
        _call("it leaks now"),
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    reports = [
        import_records(
            plane.log,
            plane.lake,
            workload,
            path,
            options=ImportOptions(),
            contract=EventContract([workload]),
            now=START,
        )
        for _ in range(2)
    ]
    report, again = reports
    assert report.masked == {"email": 1, "card": 1}
    assert report.figures()["masked"] == report.masked
    assert (again.events, again.imported_before.count) == (0, 3)
    consumer = plane.log.consumer(INFERENCES_TOPIC, group="test")
    kept = "".join(r.value.decode() for r in consumer.poll(maximum=10, timeout_seconds=0))
    consumer.close()
    shown = json.dumps(report.figures())
    for text in ("a@example.com", "4111111111111111"):
        assert text not in kept
        assert text not in shown
    assert "<EMAIL_1>" in kept
