"""Scores of texts, the gate that rests on them, and rules as checks of their own."""

import json
from pathlib import Path

import pytest

from flywheel.artifacts.gate_report import GateSubject, parse_report
from flywheel.evaluate.gate import decide_gate
from flywheel.evaluate.metrics import measure
from flywheel.evaluate.render import gate_markdown, texts_table
from flywheel.evaluate.suites import evaluate_arm
from flywheel.evaluate.text_evidence import mean_interval
from flywheel.evaluate.text_scores import score_texts
from flywheel.quality.calibration import fit_calibration
from flywheel.release.model_card import _evidence
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import GateRules
from tests.fakes.model_server import FakeModelServer
from tests.fakes.release_world import START
from tests.fakes.replies import DISCLAIMER, draft, replies, reply, ticket
from tests.unit.evaluate.test_gate import judge as judge_labels
from tests.unit.evaluate.test_gate import pairs

RULES = GateRules(minimum_accuracy=0)
SUBJECT = GateSubject(
    workload_id="replies",
    cycle="2026Q2-1",
    attempt=1,
    candidate="r1",
    champion="r0",
    manifest_digest="m",
    dataset_hash="d",
    taxonomy_version=0,
)


def rows(numbers):
    """Return golden rows of tickets."""
    return [
        {"inference_id": f"i{n}", "input": ticket(n), "output": reply(n), "label_id": None}
        for n in numbers
    ]


def cases(champion, candidate, numbers=range(1, 61)):
    """Let both arms answer; each is told how to write the reply to a number."""
    by_ticket = {ticket(n): n for n in numbers}
    told = {"champion": champion, "candidate": candidate}
    server = FakeModelServer(
        {name: lambda text, write=write: write(by_ticket[text]) for name, write in told.items()}
    )
    for name in told:
        server.load(name, Path())
    codec = AnswerCodec(replies(), {})
    return [
        case
        for arm in ("champion", "candidate")
        for case in evaluate_arm(server, codec, rows(numbers), suite="golden", arm=arm, release=arm)
    ]


def judge(judged, rules=RULES, subject=SUBJECT):
    """Decide the gate on some cases."""
    return decide_gate(rules, subject, judged, measured_at=START)


def test_scores_are_one_for_the_accepted_text_and_zero_for_none():
    """All three scores agree at the ends and fall with every edit in between."""
    accepted = [reply(1)] * 3
    same, edited, none = score_texts(accepted, [reply(1) + "\n", draft(4), None], decisive="chrf")
    assert not same.edited
    for score in ("edit_similarity", "chrf", "sentence_vectors"):
        assert getattr(same, score) == pytest.approx(1, abs=1e-3)
        assert 0 < getattr(edited, score) < 1
        assert getattr(none, score) == 0
    assert edited.edited
    assert edited.value == edited.chrf


def test_chrf_is_that_of_sacrebleu():
    """The figure is the sentence score of the library, as a share."""
    from sacrebleu.metrics.chrf import CHRF

    [scores] = score_texts(["the cat sat down"], ["the cat sits"], decisive="chrf")
    expected = CHRF().sentence_score("the cat sits", ["the cat sat down"]).score
    assert scores.chrf == pytest.approx(expected / 100)


def test_the_interval_of_a_mean_covers_it():
    """95 of 100 intervals hold the true mean, within what chance allows."""
    import numpy as np

    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        values = tuple(rng.beta(8, 2, size=60).tolist())
        lower, upper = mean_interval(values, confidence=0.95)
        covered += lower <= 0.8 <= upper
    assert 180 <= covered <= 198
    assert mean_interval((0.5,) * 30, confidence=0.9) == (0.5, 0.5)


def test_a_better_candidate_passes():
    """A candidate that needs no edit passes against one that does, on scores and rules."""
    report = judge(cases(draft, reply))
    assert report.outcome == "pass", report.reasons
    [golden] = report.texts
    assert golden.suite == "golden"
    assert golden.champion < golden.candidate == 1
    assert report.check("rule:disclaimer").value == 1
    assert report.figures()["cases"] == 60


def test_a_worse_candidate_fails():
    """Texts that are further away by more than the margin fail."""
    report = judge(cases(reply, lambda n: reply(n)[:60]))
    assert report.check("non_inferiority").outcome == "fail"


def test_close_texts_that_break_a_rule_fail_by_the_rule_alone():
    """Compliance is a check of its own: similar texts without the disclaimer do not pass."""
    without = cases(
        reply,
        lambda n: reply(n).replace(f"\n{DISCLAIMER}", "" if n % 5 == 0 else f"\n{DISCLAIMER}"),
    )
    report = judge(without, RULES.model_copy(update={"margin": 0.2}))
    failed = [check.name for check in report.checks if check.outcome == "fail"]
    assert failed == ["rule:disclaimer"]
    lenient = RULES.model_copy(update={"margin": 0.2, "rule_compliance": 0.7})
    assert judge(without, lenient).outcome == "pass"


def test_an_escalation_is_checked_on_both_sides():
    """Firing everywhere keeps one rule and breaks the other."""
    report = judge(cases(reply, lambda n: f"{reply(n)}\nA colleague will call you."))
    assert report.check("rule:escalation").outcome == "pass"
    assert report.check("rule:no_escalation").outcome == "fail"
    calm = judge(cases(draft, reply, range(1, 10)))
    assert any("rule escalation was not measured" in note for note in calm.notes)


def test_few_cases_decide_nothing():
    """Below 20 cases nothing passes, however good the texts are."""
    report = judge(cases(draft, reply, range(1, 12)))
    assert report.check("non_inferiority").outcome == "inconclusive"
    assert report.outcome != "pass"
    assert report.cases_to_collect is None


def test_the_first_release_must_beat_the_base_and_the_minimum():
    """Against the base the mean score has to rise, and to reach the minimum."""
    first = SUBJECT.model_copy(update={"champion": "base"})
    rules = GateRules(minimum_accuracy=0.9)
    report = judge(cases(draft, reply), rules, first)
    assert report.check("better_than_base").outcome == "pass"
    assert report.check("minimum_accuracy").outcome == "pass"
    same = judge(cases(draft, draft), rules, first)
    assert same.check("better_than_base").outcome == "inconclusive"
    assert judge(cases(draft, lambda _: "No."), rules, first).check("minimum_accuracy").outcome == (
        "fail"
    )


def test_figures_of_an_arm():
    """Edit rate, distance, chrF, vectors and every rule of one arm."""
    champion = [case for case in cases(draft, reply) if case.arm == "champion"]
    figures = measure(champion, suite="golden", arm="champion", release="r0").text
    assert figures.edit_rate == pytest.approx(30 / 60)  # thirds and fourths
    assert 0 < figures.edit_distance < 0.2
    assert 0.8 < figures.chrf < 1
    assert figures.rules["disclaimer"].kept == pytest.approx(40 / 60)
    assert figures.rules["escalation"].cases == 6
    assert figures.all_rules == pytest.approx(40 / 60)


def test_confidence_is_calibrated_on_texts_that_need_no_edit():
    """A case is right where the text is as close as the task asks: what calibration learns from."""
    judged = [case for case in cases(draft, reply) if case.arm == "champion"]
    assert [case.correct for case in judged] == [
        replies().form.alike(draft(n), reply(n)) for n in range(1, 61)
    ]
    assert 0 < sum(case.correct for case in judged) < 60
    confidences = [0.9 if case.correct else 0.4 for case in judged]
    calibration = fit_calibration(confidences, [case.correct for case in judged])
    assert calibration.summary


def test_the_report_reads_back_and_shows_its_texts():
    """The file keeps the scores, and both tables show them."""
    report = judge(cases(draft, reply))
    again = parse_report(report.to_json())
    assert again.digest == report.digest
    assert again.texts == report.texts
    assert texts_table(report).row_count == 2
    assert "| suite | arm | cases | edited |" in gate_markdown(report)


def test_reports_of_other_tasks_name_no_texts():
    """A report of a classification reads as it did: no key of it speaks of texts."""
    report = judge_labels(pairs(both=90, gained=5))
    written = json.loads(report.to_json())
    assert "texts" not in written
    assert all("text" not in arm for arm in written["arms"])
    assert texts_table(report) is None


def test_the_model_card_has_the_figures_of_texts():
    """Every arm's figures stand in the evidence, and no table where there are no texts."""
    lines = _evidence(judge(cases(draft, reply)))
    [header] = [line for line in lines if "chrF" in line]
    assert "all rules kept" in header
    assert sum(line.startswith("| golden | candidate | 60 |") for line in lines) == 2
    assert not any("chrF" in line for line in _evidence(judge_labels(pairs(both=90))))
