"""`--json` run on a filled home: it parses, and says what the plain output says."""

import json

import pytest


def _values(facts):
    if isinstance(facts, dict):
        for key, value in facts.items():
            yield str(key)
            yield from _values(value)
    elif isinstance(facts, list):
        for value in facts:
            yield from _values(value)
    else:
        yield str(facts)


# W stands for the workload; the words that both outputs must hold, whole in the plain one.
@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["status"], ["r1", "40"]),
        (["cycles", "W"], ["2026Q2-1", "2026Q2-2", "promoted", "approved", "r1"]),
        (["explain", "W", "2026Q2-1"], ["promoted"]),
        (["waiting"], ["dead letters"]),
        (["dlq", "list"], ["bad_json"]),
        (["dlq", "groups"], ["bad_json", "1"]),
        (["dataset", "show", "W"], ["2026Q2-1", "2026Q2-2"]),
        (["review", "status", "W"], []),
        (["topics", "show"], ["flywheel.inferences", "as declared"]),
        (["drift", "W"], []),
        (["erasures"], []),
    ],
    ids=lambda value: " ".join(value) if value and value[0].islower() else "",
)
def test_facts_are_those_of_the_plain_output(command, home, words, facts):
    """Before, `dataset show --json` printed the table."""
    (workload_id,) = [path.stem for path in (home / "workloads").glob("*.yaml")]
    words = [workload_id if word == "W" else word for word in words]
    plain, machine = command(*words), command(*words, "--json")
    assert plain.exit_code == machine.exit_code == 0
    values = {value for line in machine.stdout.splitlines() for value in _values(json.loads(line))}
    text = " ".join(values)
    assert [fact for fact in facts if fact not in plain.stdout] == []
    assert [fact for fact in facts if fact not in text] == []
