"""A backfill lands one row for each text, however often it is stopped, repeated or doubled."""

from datetime import date

import pyarrow as pa
import pytest

from flywheel.errors import ConcurrencyError, ConfigurationError, DataError, NotFoundError
from flywheel.lake.erasure import erase_subjects
from flywheel.state.kept_lease import keep_lease
from flywheel.usecases.backfill.landing import Lander
from flywheel.usecases.backfill.products import Product
from flywheel.usecases.backfill.run import Days, backfill_vectors
from flywheel.usecases.backfill.texts import TextSource, count_days, read_parts
from flywheel.usecases.backfill.work import answer_work
from tests.fakes.backfill_world import FIRST, LAST, RELEASE

IDS = [f"i{number:05d}" for number in range(30)]


def test_every_call_of_the_days_is_answered_once(world):
    """Each row names call, release, part and run, and what the release answered."""
    report = world.backfill()
    assert world.ids() == IDS
    assert (report.landed, report.failed, report.known) == (30, 0, 0)
    assert [(day.day.day, day.texts, day.done) for day in report.days] == [
        (2, 10, 10),
        (3, 10, 10),
        (4, 10, 10),
    ]
    (row,) = world.lake.rows("SELECT * FROM backfill_answers WHERE inference_id = 'i00003'")
    assert (row["release"], row["output"], row["error"]) == (RELEASE, '"dent"', None)
    assert (row["day"], row["subject_id"], row["confidence"]) == (FIRST, "s3", 0.9)
    assert (row["run"], row["answered_at"]) == (report.run, world.clock.now())
    assert row["part"].endswith("-of-3")


def test_days_outside_the_range_are_left_alone(world):
    """Both ends belong to it."""
    world.backfill(date(2026, 3, 3), date(2026, 3, 3))
    assert world.ids() == IDS[10:20]
    assert world.backfill(date(2025, 1, 1), date(2025, 2, 1)).days == ()
    with pytest.raises(ConfigurationError, match="comes after"):
        world.backfill(LAST, FIRST)


def test_a_repeated_backfill_asks_nothing(world):
    """What the lake holds is done."""
    world.backfill()
    world.asked.clear()
    report = world.backfill()
    assert (report.landed, report.known, world.asked) == (0, 30, [])


def test_a_backfill_killed_between_parts_goes_on_behind_the_last_one(world):
    """The texts of landed parts are not asked again."""

    def kill(part):
        if part.done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.backfill(on_part=kill)
    landed = len(world.ids())
    assert 12 <= landed < 30
    world.asked.clear()
    report = world.backfill()
    assert world.ids() == IDS
    assert (report.landed, len(world.asked)) == (30 - landed, 30 - landed)


@pytest.fixture
def product():
    """Return the answers of the release."""
    return Product.answers(RELEASE)


@pytest.fixture
def part(world, product):
    """Return all texts of the first day."""
    texts = TextSource(FIRST, FIRST)
    day = count_days(world.lake, world.workload.id, product, texts)[0]
    return next(read_parts(world.lake, world.workload.id, product, texts, day, part_rows=100))


@pytest.fixture
def rows(part):
    """Return a result of the part."""
    return part.rows.drop_columns(["input"])


@pytest.fixture
def lander(world, product):
    """Return what makes a lander for a run."""
    return lambda run: Lander(world.lake, world.workload.id, product, run)


def test_a_part_that_is_landed_twice_has_one_row_for_each_text(world, part, rows, lander):
    """A process that was killed after its commit repeats it, and another one is at the same part."""
    now = world.clock.now()
    assert lander("a").land(part.name, rows, now).num_rows == 10
    assert lander("b").land(part.name, rows, now).num_rows == 0
    assert world.lake.rows("SELECT DISTINCT run FROM backfill_answers") == [{"run": "a"}]


def test_of_two_processes_at_one_part_the_slower_lands_what_is_missing(
    world, part, rows, lander, monkeypatch
):
    """The first look of the slower one was before the other's commit: it is refused and looks again."""
    append, others = world.lake.append, []

    def lose_and_append(*arguments, **options):
        if not others:
            others.append(lander("b"))
            others[0].land(part.name, rows.slice(0, 6), world.clock.now())
        return append(*arguments, **options)

    slower = lander("a")
    slower.begin(FIRST)
    slower.hand_out(part)
    monkeypatch.setattr(world.lake, "append", lose_and_append)
    assert slower.land(part.name, rows, world.clock.now()).num_rows == 4
    assert world.ids() == IDS[:10]


def test_a_result_of_an_earlier_call_that_comes_late_doubles_nothing(world, part, rows, lander):
    """Its part was cut in another way, and holds texts of a part that is still out."""
    present = lander("a")
    present.begin(FIRST)
    present.hand_out(part)
    assert present.land(part.name, rows.slice(3, 3), world.clock.now()).num_rows == 3
    assert present.land(part.name, rows, world.clock.now()).num_rows == 7
    assert world.ids() == IDS[:10]


def test_landing_does_not_look_for_rows_that_cannot_be_there(world, monkeypatch):
    """A part costs the same whatever the day holds."""
    query, asked = world.lake.query, []

    def note(sql, *arguments, **options):
        asked.append(sql)
        return query(sql, *arguments, **options)

    monkeypatch.setattr(world.lake, "query", note)
    assert world.backfill().landed == 30
    assert not any("stored.backfill_answers" in sql for sql in asked)


def test_a_second_backfill_of_one_release_is_refused(world):
    """It would compute the same answers; another release may be asked meanwhile."""
    lease = f"backfill:{world.workload.id}:{RELEASE}"
    with keep_lease(world.state.leases, lease):
        with pytest.raises(ConcurrencyError):
            world.backfill()
        assert world.backfill(release="base").landed == 30


def test_calls_that_landed_late_are_answered_by_the_next_run(world):
    """The day was done, and is not any more."""
    world.backfill()
    world.call(
        [7, 31], timestamp=world.lake.rows("SELECT min(timestamp) t FROM inferences")[0]["t"]
    )
    report = world.backfill()
    assert (report.landed, report.known) == (1, 30)  # the other id had come before
    assert world.ids() == [*IDS, "i00031"]


def test_a_text_that_cannot_be_answered_is_a_row_with_its_error(world):
    """It stops nothing beside it, and is not asked again."""
    world.broken = {
        "report 5 dent": DataError("The text is too long."),
        "report 6 dent": None,
    }
    report = world.backfill()
    assert (report.landed, report.failed) == (30, 2)
    rows = world.lake.rows("SELECT * FROM backfill_answers WHERE error IS NOT NULL ORDER BY ALL")
    errors = {row["inference_id"]: (row["output"], row["error"]) for row in rows}
    assert errors == {
        "i00005": (None, "The text is too long."),
        "i00006": (None, "breaks the schema"),
    }
    assert sum(day.failed for day in world.backfill().days) == 2


def test_an_unknown_release_is_refused_with_those_there_are(world):
    """Nothing is asked."""
    with pytest.raises(NotFoundError, match=r"has no release 'r9'.*base, r1"):
        world.backfill(release="r9")


def test_copies_of_a_shadow_and_calls_without_a_text_are_left_out(world):
    """What no caller received has no answer to compare with."""
    world.call([40], shadow_of="i00001", route="shadow")
    world.call([41], input=None)
    assert world.backfill(FIRST, date(2026, 3, 31)).landed == 30


def test_no_figure_of_production_counts_a_backfill(world):
    """Inferences are what they were."""
    before = world.lake.rows("SELECT * FROM answered_inferences ORDER BY ALL")
    world.backfill()
    assert world.lake.rows("SELECT * FROM answered_inferences ORDER BY ALL") == before


def test_a_person_erased_meanwhile_has_no_row(world, part, rows, lander):
    """The part was read before, and is landed after."""
    erasure = {"subject_id": ["s1"], "requested_at": [world.clock.now()]}
    world.lake.append("erasures", pa.table(erasure))
    lander("a").land(part.name, rows, world.clock.now())
    assert set(world.ids()) == set(IDS[:10]) - {"i00001", "i00005", "i00009"}
    assert world.backfill(LAST, LAST).days[0].texts == 7


def test_an_erasure_takes_the_rows_of_a_person(world):
    """Readers leave them out at once, and they are not made again when they are gone."""
    world.backfill()
    backfill_vectors(world.deployment, world.workload, Days(FIRST, LAST))
    erasure = {"subject_id": ["s1"], "requested_at": [world.clock.now()]}
    world.lake.append("erasures", pa.table(erasure))
    theirs = {f"i{number:05d}" for number in range(1, 30, 4)}
    for table in ("backfill_answers", "text_vectors"):
        seen = {row["inference_id"] for row in world.lake.rows(f"SELECT * FROM {table}")}
        assert seen == set(IDS) - theirs
    touched = erase_subjects(world.lake)
    assert (touched["backfill_answers"], touched["text_vectors"]) == (8, 8)
    assert set(world.ids()) == set(world.ids("text_vectors")) == set(IDS) - theirs
    assert world.backfill().landed == 0


def test_the_release_answers_with_its_own_prompt(world):
    """An edit of the workload's file reaches it with the next cycle."""
    edited = world.workload.model_copy(update={"prompt": "Now: {input}\nDefect: "})
    assert answer_work(world.deployment, edited, RELEASE).workload.prompt == world.workload.prompt
    assert answer_work(world.deployment, edited, "base").workload.prompt == edited.prompt
