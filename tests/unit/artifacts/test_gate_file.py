"""Gate reports: what is written is what version 0.2 wrote, and every version's report is read."""

import json
import tarfile
from pathlib import Path

import pytest

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.artifacts.gate_file import FIRST_LOOK_FILE, GateReportRef, write_gate_report
from flywheel.artifacts.gate_report import (
    Comparison,
    GateCheck,
    GateReport,
    GateSubject,
    NewLabel,
    parse_report,
)
from flywheel.errors import IntegrityError
from flywheel.workload.model import GateRules

DATA = Path(__file__).parents[2] / "data"
OF_0_2 = [DATA / "state-499adc1" / "runs" / name / "gate.json" for name in ("r1", "r2")]
# As recorded by the code that wrote them.
DIGEST_OF_R2 = "69a0508be4b4131ad31d3cec8943df4badc71ec37d2c6f8e817f254f4949db52"


def _built(values):
    """Build a report from its values as the gate does, not by reading it."""
    parts = {
        "subject": GateSubject(**values["subject"]),
        "rules": GateRules.model_validate(values["rules"]),
        "checks": tuple(GateCheck(**one) for one in values["checks"]),
        "comparisons": tuple(Comparison(**one) for one in values["comparisons"]),
        "new_labels": tuple(NewLabel(**one) for one in values["new_labels"]),
        "arms": tuple(ArmMetrics(**one) for one in values["arms"]),
    }
    return GateReport(**{**values, **parts})


@pytest.mark.parametrize("path", OF_0_2, ids=["r1", "r2"])
def test_a_report_is_written_as_before(path, tmp_path):
    """The same decision gives the same bytes and the same digest as the version before."""
    gate = write_gate_report(_built(json.loads(path.read_text())), tmp_path)
    assert gate.path.read_bytes() == path.read_bytes()
    assert (gate.read_text(), gate.read().digest) == (path.read_text(), gate.digest)
    if path.parent.name == "r2":
        assert gate.digest == DIGEST_OF_R2
        assert (gate.outcome, gate.look, gate.cases_to_collect) == ("inconclusive", 1, 471)
        assert f"{gate.judgments_until:%Y-%m-%d}" == "2026-04-15"


def test_reports_of_a_deployment_of_0_1_are_read(tmp_path):
    """They keep their digest, and what they do not say has its default."""
    with tarfile.open(DATA / "deployment-0.1-7550981.tar.xz") as archive:
        members = [one for one in archive.getmembers() if one.name.endswith("/gate.json")]
        archive.extractall(tmp_path, members=members, filter="data")
    texts = [path.read_text() for path in sorted(tmp_path.rglob("gate.json"))]
    reports = [parse_report(text) for text in texts]
    assert [(report.outcome, report.look) for report in reports] == [("pass", 1)] * 2
    assert [report.to_json() for report in reports] == texts


def test_keys_of_a_later_version_are_ignored():
    """A report that says more than is read is read all the same."""
    values = json.loads(OF_0_2[0].read_text())
    before = parse_report(json.dumps(values))
    for place in (values, values["subject"], values["rules"], values["arms"][0]):
        place["something_new"] = {"x": 1}
    assert parse_report(json.dumps(values)) == before


def test_what_is_not_a_report_is_refused():
    """A document without an outcome is an error that says what to do."""
    values = json.loads(OF_0_2[0].read_text())
    del values["outcome"]
    with pytest.raises(IntegrityError, match="not readable: 1 faults") as caught:
        parse_report(json.dumps(values))
    assert caught.value.next_step == "run the gate again"


def test_a_changed_or_missing_report_is_refused(tmp_path):
    """The reference reads nothing but the file that it was written for."""
    gate = write_gate_report(parse_report(OF_0_2[0].read_text()), tmp_path)
    gate.path.write_text(gate.path.read_text().replace('"pass"', '"fail"', 1))
    with pytest.raises(IntegrityError, match="was changed after the decision"):
        gate.read()
    gate.path.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        gate.read()


def test_a_second_look_keeps_the_first_report(tmp_path):
    """What the first look showed lies beside the report that decided."""
    first = parse_report(OF_0_2[1].read_text())
    write_gate_report(first, tmp_path)
    write_gate_report(first.model_copy(update={"look": 2, "cases_to_collect": None}), tmp_path)
    assert parse_report((tmp_path / FIRST_LOOK_FILE).read_text()) == first


def test_a_reference_survives_its_form_in_json():
    """Also one of version 0.1, which had no looks."""
    gate = GateReportRef(Path("/runs/gate.json"), "g", "pass")
    assert GateReportRef.from_facts(json.loads(json.dumps(gate.to_facts()))) == gate
    report = parse_report(OF_0_2[1].read_text())
    waiting = GateReportRef(
        gate.path, "g", "inconclusive", 1, report.cases_to_collect, report.judgments_until
    )
    assert GateReportRef.from_facts(json.loads(json.dumps(waiting.to_facts()))) == waiting
    assert GateReportRef.from_facts({"release": "r1"}) is None
