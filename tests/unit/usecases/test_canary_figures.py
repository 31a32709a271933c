"""What a look at a canary says: each guard metric, silence, and what a look costs."""

from datetime import timedelta

import pytest

from flywheel.release.look import Look
from tests.fakes.stage_world import (
    BEGAN,
    CANDIDATE,
    CHAMPION,
    StageWorld,
    canary_rows,
    event,
)

HOUR = timedelta(hours=1)
CANARY = {"canary": [{"share": 0.5, "days": 1, "minimum_answers": 200}]}


@pytest.fixture
def world(tmp_path):
    """Return a canary of a half that has just begun."""
    world = StageWorld(tmp_path, **CANARY)
    yield world
    world.close()


def often(route, probability, **columns):
    """Return a change that befalls so many answers of a route."""

    def change(row, rng):
        if rng.random() < (probability if row["route"] == route else 0.02):
            row |= columns

    return change


FAILED = {"response": None, "output": None, "latency_ms": None, "error": "503 unavailable"}
HARM = {
    "errors": FAILED,
    "invalid": {"output": None, "error": "cut off"},
    "slow": {"latency_ms": 500.0},
}


def test_a_canary_as_good_as_the_champion_goes_on(world):
    """Both arms are counted, and no metric is worse."""
    rows = world.canary_traffic(1200)
    seen = world.look(at=timedelta(hours=7))
    assert seen.outcome in {"go_on", "equivalent"}, seen.reason
    candidates = sum(row["route"] == "canary" for row in rows)
    assert seen.answers == candidates
    errors = seen.figures["metrics"]["errors"]
    assert candidates - 5 <= errors["candidate"]["answers"] <= candidates
    assert errors["candidate"]["events"] == 0
    assert set(seen.figures["metrics"]) == {
        "errors", "invalid", "slow", "negative_feedback", "wrong",
    }  # fmt: skip


@pytest.mark.parametrize("metric", HARM)
def test_harm_on_one_metric_is_worse(world, metric):
    """The verdict names the metric; the champion has the same harm far less often."""
    world.canary_traffic(900, change=often("canary", 0.25, **HARM[metric]))
    seen = world.look(at=timedelta(hours=5))
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", metric)
    assert seen.figures["metrics"][metric]["outcome"] == "worse"


def test_negative_feedback_is_worse(world):
    """Counted once there was time to give it, whatever positive feedback came."""
    rows = world.canary_traffic(900)
    canary = [row for row in rows if row["route"] == "canary"]
    world.say([row for row in rows if row["route"] == "champion"], value=True)
    world.say(canary[::3], value=False)
    seen = world.look(at=timedelta(hours=5))
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", "negative_feedback")
    counted = seen.figures["metrics"]["negative_feedback"]
    assert counted["champion"]["events"] == 0
    assert counted["candidate"]["answers"] < len(canary)


def test_wrong_answers_of_the_control_slice_are_worse(world):
    """People decided half an hour's answers of both arms."""
    rows = world.canary_traffic(400, change=often("canary", 0.6, output='"heat fault"'))
    world.judge_control(rows, "oil fault")
    seen = world.look(at=timedelta(hours=3))
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", "wrong")


def test_a_time_of_day_that_is_slow_for_both_arms_is_no_harm(world):
    """Both are measured on the same minutes; the champion's day decides what is slow."""

    def slow_later(row, rng):
        if row["timestamp"] > BEGAN + 2 * HOUR:
            row["latency_ms"] = rng.uniform(400, 600)

    world.canary_traffic(1200, change=slow_later)
    seen = world.look(at=timedelta(hours=7))
    assert seen.figures["metrics"]["slow"]["outcome"] != "worse", seen.reason


def test_latency_that_is_not_watched_decides_nothing(tmp_path):
    """The other metrics are judged without it."""
    guards = {"margins": {"slow": None}}
    world = StageWorld(tmp_path, **CANARY, guards=guards)
    world.canary_traffic(900, change=often("canary", 0.5, latency_ms=5000.0))
    seen = world.look(at=timedelta(hours=5))
    assert seen.outcome in {"go_on", "equivalent"}, seen.reason
    assert set(seen.figures["metrics"]) == {"errors", "invalid", "negative_feedback", "wrong"}
    assert world.look(at=timedelta(hours=5, minutes=1)).outcome == seen.outcome
    world.close()


def test_a_fallback_counts_against_the_canary_alone(world):
    """The failed attempt is its error; what the champion answered then is in neither arm."""
    rows = world.canary_traffic(200)
    failed = [row for row in rows if row["route"] == "canary"]
    world.land(
        [
            event(row["timestamp"], f"fallback-{row['inference_id']}")
            | {"route": "fallback", "latency_ms": 9000.0}
            for row in failed
        ]
    )
    seen = world.look(at=timedelta(hours=2))
    champion = seen.figures["metrics"]["slow"]["champion"]
    assert champion["answers"] <= len(rows) - len(failed)


def test_a_canary_without_requests_is_silent(world):
    """The champion is asked all the while; a look says since when, and how many were expected."""
    world.canary_traffic(200, share=0.0)
    seen = world.look(at=timedelta(minutes=66))
    assert (seen.outcome, seen.answers) == ("silent", 0)
    assert "were expected" in seen.reason
    assert world.look(at=timedelta(minutes=67)).outcome == "silent"


def test_a_night_without_traffic_is_no_silence(world):
    """Neither arm was asked."""
    world.canary_traffic(300)
    assert world.look(at=timedelta(hours=9)).outcome == "go_on"


def test_an_idle_weekend_is_no_silence_and_a_longer_one_is(world):
    """A look on Monday morning takes no release back because nobody works on Sundays."""
    world.canary_traffic(300)
    assert world.look(at=timedelta(hours=70)).outcome == "go_on"
    assert world.look(at=timedelta(hours=80)).outcome == "silent"


def test_before_anything_landed_it_goes_on(world):
    """A first look is no verdict."""
    assert world.look(at=timedelta(minutes=1)).outcome == "go_on"


def test_thin_traffic_loses_no_answer(world):
    """An answer of one arm waits for one of the other: hours apart, both count."""
    world.canary_traffic(60, every=timedelta(minutes=20))
    seen = world.look(at=timedelta(hours=21))
    counted = seen.figures["metrics"]["errors"]
    assert counted["champion"]["answers"] + counted["candidate"]["answers"] >= 57


def test_many_looks_say_what_one_look_says(tmp_path):
    """Evidence is kept between looks; without the file it is gathered again from the lake."""
    one, many = (StageWorld(tmp_path / name, **CANARY) for name in ("one", "many"))
    for world in (one, many):
        world.canary_traffic(60, start=-HOUR, share=0.0, seed=2)
        world.canary_traffic(400, change=often("canary", 0.05, **FAILED))
    for minutes in range(10, 130, 17):
        many.look(at=timedelta(minutes=minutes))
    seen = [world.look(at=timedelta(minutes=140)) for world in (one, many)]
    assert _events(seen[0]) == _events(seen[1])
    assert seen[0].figures["metrics"]["errors"] == seen[1].figures["metrics"]["errors"]
    (tmp_path / "many" / "release" / "stage-7.json").write_text("{")
    again = many.look(at=timedelta(minutes=140))
    assert again.figures["metrics"]["errors"] == seen[0].figures["metrics"]["errors"]
    for world in (one, many):
        world.close()


def test_requests_that_hang_are_worse(world):
    """Such a failure is recorded at its end, when its minute has long been looked at."""

    def hang(row, rng):
        if row["route"] == "canary" and rng.random() < 0.25:
            row |= FAILED | {"latency_ms": 120_000.0, "error": "504 timeout"}

    seconds = timedelta(seconds=1)
    rows = canary_rows(1200, every=seconds, change=hang)
    waiting = sorted((row["timestamp"] + (150 * seconds if row["error"] else seconds), number)
                     for number, row in enumerate(rows))  # fmt: skip
    for minute in range(1, 21):
        landed = [number for at, number in waiting if at <= BEGAN + minute * 60 * seconds]
        world.land([rows[number] for number in landed])
        waiting = waiting[len(landed) :]
        seen = world.look(at=timedelta(minutes=minute))
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", "errors")


def test_answers_that_land_after_their_minute_count(world):
    """One of two gateways was cut off from the log for hours: what it answered is in both arms."""
    rows = canary_rows(900, change=often("canary", 0.25, **FAILED))
    world.land(rows[::2])
    before = world.look(at=timedelta(hours=5)).figures["metrics"]["errors"]
    world.land(rows[1::2])
    after = world.look(at=timedelta(hours=5, minutes=1)).figures["metrics"]["errors"]
    assert after["candidate"]["answers"] > 1.9 * before["candidate"]["answers"]
    assert after["candidate"]["events"] > 1.5 * before["candidate"]["events"]
    assert after["outcome"] == "worse"
    again = world.look(at=timedelta(hours=5, minutes=2))
    assert again.figures["metrics"]["errors"] == after


def test_feedback_on_answers_that_land_late_counts(world):
    """It is about one arm: what the other one answered in the same minutes is counted beside it."""
    rows = canary_rows(900)
    world.land(rows[::2])
    assert world.look(at=timedelta(hours=5)).outcome != "worse"
    world.land(rows[1::2])
    world.say([row for row in rows[1::2] if row["route"] == "canary"], value=False)
    seen = world.look(at=timedelta(hours=5, minutes=1))
    assert (seen.outcome, seen.reason.split(":")[0]) == ("worse", "negative_feedback")


def test_erased_answers_stay_counted(world):
    """A verdict does not go back: what is no longer in the lake was seen."""
    world.canary_traffic(400)
    before = world.look(at=timedelta(hours=2)).figures["metrics"]["errors"]
    nothing = world.lake.query("SELECT * FROM inferences LIMIT 0")
    world.lake.replace("inferences", nothing, where={"route": "canary"})
    after = world.look(at=timedelta(hours=2)).figures["metrics"]["errors"]
    assert (after["champion"], after["candidate"]) == (before["champion"], before["candidate"])


def _events(look: Look):
    metrics = look.figures["metrics"].items()
    return {name: (one["champion"], one["candidate"]) for name, one in metrics}


def test_what_landed_twice_counts_once(world):
    """A gateway that was killed sends what it is not sure of again."""
    rows = world.canary_traffic(100)
    world.land([dict(row) for row in rows])
    assert world.look(at=HOUR).answers == sum(row["route"] == "canary" for row in rows)


def test_other_releases_are_in_neither_arm(world):
    """A canary that was rolled back on the same day does not count for the next one."""
    world.canary_traffic(100, change=lambda row, _: row.update(release="r0"))
    seen = world.look(at=timedelta(minutes=20))
    assert seen.answers == 0


def test_a_look_reads_the_days_of_its_stage_alone(world):
    """What it costs does not grow with the history: older files may even be away."""
    old = [
        event(BEGAN - timedelta(days=30 + number), f"old-{number}")
        | {"release": CHAMPION if number % 2 else CANDIDATE}
        for number in range(10)
    ]
    world.land(old)
    world.canary_traffic(100)
    asked = []
    rows = world.lake.rows
    world.lake.rows = lambda sql, params=None: asked.append(params) or rows(sql, params)
    world.look(at=HOUR)
    days = [params["first"] for params in asked if params and "first" in params]
    assert days
    assert min(days) >= (BEGAN - timedelta(days=7)).date()
