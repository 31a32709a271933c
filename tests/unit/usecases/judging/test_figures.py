"""The weekly figure with and without a judge."""

import json
import random
import re
from datetime import timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from assets.review import judge_metadata
from flywheel.cli import build_app
from flywheel.cli import judge as command
from flywheel.lake.erasure import erase_subjects
from flywheel.lake.tables import TABLES
from flywheel.usecases.judging.calibration import calibrate_judge, judge_standing
from flywheel.usecases.judging.daily import ask_daily
from flywheel.usecases.judging.figures import judge_weeks
from flywheel.usecases.judging.report import judge_figures, judge_report, judge_sentence
from tests.fakes.judge_world import MONDAY, JudgeWorld
from tests.fakes.openai_upstream import fake_upstream

DAY = timedelta(days=1)


def week(world, *, asked=True, errs=lambda number: number % 50 == 1):
    """Play a week of 400 answers of which people judge 60, and return its figures."""
    world.errs = errs
    world.workload = world.with_judge(per_day=400)
    world.traffic(range(400), every=timedelta(minutes=25))
    rng = random.Random(5)  # noqa: S311 - reproducible, not secret
    world.judge_by_people(rng.sample(range(400), 60))
    world.clock.move_to(MONDAY + 7 * DAY)
    calibrate_judge(world, world.workload)
    if asked:
        ask_daily(world, world.workload)
    standing = judge_standing(world, world.workload)
    return standing, judge_weeks(world, world.workload, standing, weeks=2)


@pytest.fixture(scope="module")
def sharp(tmp_path_factory):
    """Return the world of a week with a judge that is right in 98 of 100, and its figures."""
    with fake_upstream() as upstream:
        world = JudgeWorld(tmp_path_factory.mktemp("week"), upstream)
        yield world, week(world)[1]
        world.close()


def test_the_judge_sharpens_the_weeks_figure(sharp):
    """Its estimate covers the truth, 0.9, with a narrower interval than people's alone."""
    _, (last, before) = sharp
    assert (last.start.isoformat(), last.judged, last.drawn) == ("2026-05-04", 60, 340)
    figure, people = last.with_judge, last.people
    assert figure.lower < 0.9 < figure.upper
    assert figure.upper - figure.lower < 0.75 * (people.upper - people.lower)
    assert before.with_judge is None
    assert "at least 10 are needed" in before.reason


def test_an_uncalibrated_judge_never_counts(world):
    """However much it said; people's figure is what it would be without it."""
    standing, (last, _) = week(world, errs=lambda number: number % 2 == 0)
    assert not standing.calibrated
    assert (last.with_judge, last.reason) == (None, "the judge is not calibrated")
    assert last.people.judged == 60
    assert "only orders the queue" in judge_sentence(world, world.workload)


def test_a_changed_rubric_takes_the_figure_away(sharp):
    """Verdicts of another judge are not this one's."""
    world, _ = sharp
    other = world.with_judge(rubric="Another.", per_day=400)
    (last,) = judge_weeks(world, other, judge_standing(world, other), weeks=1)
    assert last.with_judge is None


def test_a_day_without_verdicts_is_no_figure(world):
    """What the judge said of other days does not stand for it."""
    _, (last, _) = week(world, asked=False)
    assert (last.with_judge, last.reason) == (
        None, "the judge was not asked about 7 days of this week",
    )  # fmt: skip


def test_answers_that_failed_count_as_wrong_in_both(world):
    """As in the control slice's own figure."""
    world.traffic(range(2000, 2100), output=None, error="500")
    _, (last, _) = week(world)
    assert last.people.failed == 100
    assert last.with_judge.accuracy == pytest.approx(0.9 * 0.8, abs=0.04)


def test_the_report_has_cost_and_ration(sharp):
    """For every judge of the workload, in the file's prices."""
    world, _ = sharp
    report = judge_report(world, world.workload, weeks=1)
    assert (report.asked, report.asked_today, report.per_day) == (400, 400, 400)
    assert report.cost == pytest.approx(400 * 1200 / 1e6)
    assert "counts until 2026-08-09; week of 2026-05-04: people: " in judge_sentence(
        world, world.workload
    )


def test_former_comparisons_are_in_the_report(sharp):
    """The newest first, with the interval, the floor and the judge they are of."""
    world, _ = sharp
    [one] = judge_report(world, world.workload, weeks=1).calibrations
    standing = judge_standing(world, world.workload)
    assert (one.source, one.digest, one.calibrated) == ("critic", standing.digest, True)
    assert (one.judged, one.floor, one.agreement) == (60, 0.6, standing.agreement)


def test_dagster_plots_the_judges_figures(sharp, world):
    """As numbers of their own; of a judge that does not count only that it does not."""
    known, _ = sharp
    figures = judge_figures(known, known.workload)
    shown = judge_metadata(figures)
    assert shown["judge"].startswith("critic counts until 2026-08-09; week of 2026-05-04")
    assert shown["agreement of the judge with people"] == figures.standing.agreement
    assert shown["accuracy with the judge, last week"] == figures.week.with_judge.accuracy
    assert shown["accuracy with the judge, upper"] == figures.week.with_judge.upper
    assert set(judge_metadata(judge_figures(world, world.workload))) == {"judge"}
    assert judge_metadata(None) == {}


def test_the_command_lists_the_comparisons(sharp, monkeypatch):
    """Those of former judges too; as JSON with all figures."""
    world, _ = sharp
    platform = SimpleNamespace(
        home=world.home,
        lake=world.lake,
        clock=world.clock,
        workload=lambda _: world.workload,
    )
    monkeypatch.setattr(command, "open_platform", lambda **_: platform)
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()
    shown = runner.invoke(build_app(), ["judge", "show", world.workload.id, "--weeks", "1"])
    assert shown.exit_code == 0, shown.output
    assert "compared with people" in shown.output
    assert re.search(r"2026-05-11 00:00 .*critic.* 60 .* 0\.6 .*yes", shown.output)
    asked = ["judge", "show", world.workload.id, "--weeks", "1", "--json"]
    assert json.loads(runner.invoke(build_app(), asked).stdout)["calibrations"][0]["judged"] == 60


def test_an_erased_persons_verdicts_are_left_out_and_removed(world):
    """At once for readers, for good by maintenance."""
    world.traffic(range(40), subject_id="s1")
    world.judge_by_people(range(40))
    world.clock.move_to(MONDAY + DAY)
    calibrate_judge(world, world.workload)
    erasure = {"subject_id": "s1", "requested_by": "ann", "requested_at": MONDAY}
    world.lake.append("erasures", pa.Table.from_pylist([erasure], schema=TABLES["erasures"].schema))
    assert world.lake.rows("SELECT * FROM judge_verdicts") == []
    erase_subjects(world.lake)
    assert world.lake.rows("SELECT * FROM stored.judge_verdicts") == []
