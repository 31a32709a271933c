"""A ledger that rests on earlier proofs comes to what a look at every row does, and finds what it finds."""

import json
import random
from datetime import timedelta

import pytest

from flywheel.events import INFERENCES_TOPIC, EventContract
from flywheel.ingest import proven_events
from flywheel.ingest.deadletters import replay
from flywheel.ingest.event_proof import EVENT_PROOF_FILE
from flywheel.ingest.ledger import prove
from flywheel.ingest.proven_events import count_events
from flywheel.lake import Lake
from flywheel.lake.maintenance import maintain
from tests.fakes.event_makers import START, make_workload


@pytest.fixture
def counted(monkeypatch):
    """Record how many data files each count read."""
    numbers = []
    count = proven_events._Counting.run

    def record(self, positions):
        numbers.append(len(self.new))
        return count(self, positions)

    monkeypatch.setattr(proven_events._Counting, "run", record)
    return numbers


def _full(plane):
    return prove(plane.log, Lake(plane.lake.root), full=True)


def _stored(plane):
    return plane.lake.query("SELECT * FROM stored.inferences ORDER BY ALL")


@pytest.mark.parametrize("seed", range(2))
def test_the_ledger_is_that_of_a_look_at_every_row(plane, seed):
    """Ids that come again, broken records, feedback, late days, erased persons, compaction between."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    consumer = plane.ingest()
    for turn in range(6):
        moment = START + timedelta(days=rng.choice([turn, turn, 0, 90]))
        plane.produce(
            *(rng.randrange(40) for _ in range(rng.randrange(12))),
            timestamp=moment,
            subject_id=rng.choice(["s1", "s2", None]),
        )
        plane.spoil(*(b"{" for _ in range(rng.randrange(3))))
        plane.comment(*range(rng.randrange(3)))
        consumer.run_once(rng.choice([5, 100]))
        if turn == 2:
            plane.lake.append("erasures", plane.lake.query("SELECT 's1' AS subject_id"))
        if turn == 3:
            maintain(plane.lake, now=START + timedelta(days=200))
        assert plane.prove() == _full(plane), turn


def test_what_was_proven_is_not_read_again(plane, counted):
    """Neither by this process nor by the next; a compacted day is read once more."""
    consumer = plane.ingest()
    for number in range(3):
        plane.produce(number)
        consumer.run_once()
    assert plane.prove().balances
    plane.produce(3, 1)
    consumer.run_once()
    assert prove(plane.log, Lake(plane.lake.root)).distinct_ids == 4
    files = len(list(plane.lake.root.glob("inferences/*/*/*.parquet")))
    assert counted == [3, files - 3]
    maintain(plane.lake, now=START + timedelta(days=200))
    assert plane.prove().balances
    assert counted[2:] == [1]
    assert plane.prove() == _full(plane)
    assert counted[3:] == [0, 1]


@pytest.mark.parametrize("change", ["lost", "doubled", "swapped", "renamed", "file gone"])
def test_a_change_below_what_was_proven_is_found(plane, change):
    """Rows that were proven cannot be lost, doubled, exchanged or renamed without notice."""
    plane.produce(*range(10))
    plane.ingest().run_once()
    assert plane.prove().balances
    rows = _stored(plane)
    first = rows["inference_id"][0].as_py()
    if change in ("lost", "swapped"):
        plane.lake.replace("inferences", rows.slice(0, 0), where={"inference_id": first})
    if change in ("doubled", "swapped"):
        plane.lake.append("inferences", rows.slice(1, 1))
    if change == "renamed":
        row = rows.slice(0, 1)
        place = row.column_names.index("inference_id")
        renamed = row.set_column(place, "inference_id", rows["inference_id"].slice(1, 1))
        plane.lake.replace("inferences", rows.slice(0, 0), where={"inference_id": first})
        plane.lake.append("inferences", renamed)
    if change == "file gone":
        day = rows["day"][0].as_py()
        plane.lake.replace("inferences", rows.slice(0, 0), where={"day": day})
    found = plane.prove()
    assert found == _full(plane)
    assert found.balances == (change == "renamed")  # an id of that name came before: a repeat
    if change == "renamed":
        assert found.duplicates == 1


def test_a_replayed_dead_letter_is_counted_where_it_landed(plane):
    """Its row has the position of the letter, below what was proven."""
    late = make_workload(id="late")
    plane.produce(1)
    plane.spoil(b"{")
    plane.produce(2, 3, workload_id="late")
    plane.ingest().run_once()
    assert plane.prove().total("dead_letters") == 3
    contract = EventContract([plane.workload, late])
    replay(plane.lake, contract, now=plane.clock.now())
    for _ in range(2):
        found = plane.prove()
        assert found == _full(plane)
        assert (found.landed, found.total("dead_letters"), found.balances) == (3, 1, True)


def test_only_a_ledger_that_balances_is_kept(plane):
    """What is wrong once is looked at again, and reported again."""
    plane.produce(1, 2)
    plane.ingest().run_once()
    plane.lake.append("inferences", _stored(plane).slice(0, 1))
    for _ in range(2):
        assert plane.prove().total("twice") == 1
    assert not (plane.lake.root / EVENT_PROOF_FILE).exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"made_by": 0}'])
def test_a_damaged_proof_is_none(plane, counted, damage):
    """Then every row is counted."""
    plane.produce(1, 2)
    plane.ingest().run_once()
    path = plane.lake.root / EVENT_PROOF_FILE
    assert plane.prove().balances
    assert json.loads(path.read_bytes())["distinct_ids"] == 2
    path.write_text(damage)
    assert plane.prove().landed == 2
    assert counted[0] == counted[1] > 0


def test_full_counts_every_file(plane, counted):
    """Whatever was proven."""
    plane.produce(1, 2)
    plane.ingest().run_once()
    for full in (False, False, True):
        assert prove(plane.log, plane.lake, topics=[INFERENCES_TOPIC], full=full).balances
    assert counted[1] == 0
    assert counted[0] == counted[2]
    assert count_events(plane.lake, {}).distinct_ids == 2
