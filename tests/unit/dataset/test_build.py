import json
import time
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import (
    SPLITS,
    FixedCase,
    open_snapshot,
    read_fixed,
    read_rows,
    verify_snapshot,
)
from flywheel.dataset.build import Champion, build_dataset
from flywheel.dataset.fixed_cases import fixed_cases
from flywheel.dataset.lineage import snapshots_with_inference, snapshots_with_subject
from flywheel.errors import IntegrityError, TooFewExamplesError
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.workload.chat_prompt import ChatPrompt
from tests.fakes.review_world import (
    END,
    START,
    classification,
    correction,
    extraction,
    put_corrections,
    text,
    truth,
)

LATER = START + timedelta(days=90)


def build(lake, tmp_path, workload=None, cycle="2026Q2-1", **options):
    """Build with the defaults of these tests."""
    workload = workload or classification()
    opened = OpenedWorkload(CycleRef(workload.id, cycle), workload)
    return build_dataset(lake, opened, home=tmp_path / "home", now=END, **options)


def rows(count, start=0, **changes):
    """Return corrections."""
    return [correction(number, **changes) for number in range(start, start + count)]


def ids(snapshot, split):
    """Return the inference ids of a split."""
    return {row["inference_id"] for row in read_rows(snapshot.folder, split)}


def erase(lake, subject):
    """Name a subject in the erasures."""
    row = {"workload_id": None, "subject_id": subject, "requested_at": END}
    lake.append("erasures", pa.Table.from_pylist([row], schema=TABLES["erasures"].schema))


def test_rows_carry_the_trainers_columns(lake, tmp_path):
    """Prompt and completion are text in label names; a corrected answer is a preference row."""
    put_corrections(lake, classification(), rows(40, original_output="oil fault"))
    snapshot = build(lake, tmp_path)
    train = {row["inference_id"]: row for row in read_rows(snapshot.folder, "train")}
    key, row = next(iter(train.items()))
    number = int(key[1:])
    assert row == {
        "inference_id": key,
        "correction_id": f"c-{key}",
        "input": text(number),
        "prompt": f"{text(number)}\nFault: ",
        "completion": truth(number),
        "output": truth(number),
        "label_id": truth(number).split()[0],
    }
    preferences = read_rows(snapshot.folder, "preference")
    corrected = {key for key, one in train.items() if one["output"] != "oil fault"}
    assert {one["inference_id"] for one in preferences} == corrected
    assert {one["rejected"] for one in preferences} == {"oil fault"}
    assert all(one["chosen"] == train[one["inference_id"]]["completion"] for one in preferences)


def test_extraction_completion_is_canonical_json(lake, tmp_path):
    """Keys come in the schema's order, whatever order a person's answer had."""
    workload = extraction()
    found = rows(40)
    for one in found:
        one["output"] = {"urgency": "low", "category": one["output"]}
    put_corrections(lake, workload, found)
    snapshot = build(lake, tmp_path, workload)
    row = read_rows(snapshot.folder, "train")[0]
    assert row["completion"] == f'{{"category":"{row["label_id"]} fault","urgency":"low"}}'
    assert row["output"] == json.loads(row["completion"])


def test_hash_depends_on_the_rows_and_not_on_their_order(tmp_path):
    """Two lakes that hold the same rows in another order make the same snapshot."""
    found = rows(60) + rows(10, 100, slice="control")
    hashes = set()
    for number, order in enumerate((found, found[::-1], found[30:] + found[:30])):
        lake = Lake(tmp_path / f"lake{number}")
        for part in (order[:25], order[25:]):
            put_corrections(lake, classification(), part)
        hashes.add(build(lake, tmp_path / str(number)).hash)
        lake.close()
    assert len(hashes) == 1


def test_hash_depends_on_rows_splits_and_taxonomy_version(lake, tmp_path):
    """One more row, or another version of the taxonomy, is another snapshot."""
    workload = classification()
    put_corrections(lake, workload, rows(40))
    first = build(lake, tmp_path)
    raw = workload.model_dump(mode="json", by_alias=True)
    raw["taxonomy"]["version"] = 2
    second = build(lake, tmp_path, classification(**raw))
    put_corrections(lake, workload, rows(1, 500))
    third = build(lake, tmp_path)
    assert len({first.hash, second.hash, third.hash}) == 3


def test_repeating_a_build_changes_nothing(lake, tmp_path):
    """The folder is found again and the membership is replaced, not added to."""
    put_corrections(lake, classification(), rows(50))
    first = build(lake, tmp_path)
    written = (first.folder / "manifest.json").stat().st_mtime_ns
    assert build(lake, tmp_path) == first
    assert (first.folder / "manifest.json").stat().st_mtime_ns == written
    assert lake.rows("SELECT count(*) AS n FROM dataset_rows")[0]["n"] == 50
    assert [path.name for path in first.folder.parent.iterdir()] == [first.hash]


def test_manifest_counts_and_describes(lake, tmp_path):
    """The manifest tells counts, exclusions, versions and where the rows were read from."""
    put_corrections(lake, classification(), rows(50) + rows(5, 100, slice="control"))
    put_corrections(lake, classification(), [correction(200, input=text(1), output="heat fault")])
    snapshot = build(lake, tmp_path)
    manifest = json.loads((snapshot.folder / "manifest.json").read_text())
    assert manifest["counts"]["holdout"] == 5
    assert manifest["exclusions"] == {"conflict": 2}
    assert manifest["cycle"] == "2026Q2-1"
    assert manifest["workload_revision"] == classification().revision
    assert manifest["sources"]["accepted_corrections"] == 56
    assert set(manifest["files"]) == {f"{split}.jsonl" for split in SPLITS}


def test_membership_tells_where_every_row_went(lake, tmp_path):
    """Lineage is one query, excluded rows with their reasons included."""
    put_corrections(lake, classification(), rows(40, subject_id="p1"))
    put_corrections(lake, classification(), [correction(200, input=text(1), output="heat fault")])
    snapshot = build(lake, tmp_path)
    (found,) = snapshots_with_inference(lake, "defects", "i00200")
    assert (found.snapshot, found.split, found.reason) == (snapshot.hash, "excluded", "conflict")
    assert len(snapshots_with_subject(lake, "defects", "p1")) == 40
    assert snapshots_with_subject(lake, "defects", "p2") == []


def test_too_few_examples_stop_the_cycle(lake, tmp_path):
    """The counts are named and nothing is written."""
    put_corrections(lake, classification(), rows(30))
    with pytest.raises(TooFewExamplesError) as caught:
        build(lake, tmp_path, classification(minimum_examples=31))
    assert caught.value.facts["good"] == 30
    assert caught.value.facts["wanted"] == 31
    assert not (tmp_path / "home").exists()
    assert lake.rows("SELECT count(*) AS n FROM dataset_rows")[0]["n"] == 0


def test_no_examples_at_all_stop_the_cycle(lake, tmp_path):
    """An empty lake is too few, not a crash."""
    with pytest.raises(TooFewExamplesError):
        build(lake, tmp_path, classification(minimum_examples=1))


def test_disputed_proposed_and_withdrawn_rows_are_no_truth(lake, tmp_path):
    """Only what is accepted in its latest version counts."""
    put_corrections(lake, classification(), rows(40))
    put_corrections(lake, classification(), rows(5, version=2, status="withdrawn"))
    put_corrections(lake, classification(), rows(5, 50, status="disputed", output=None))
    snapshot = build(lake, tmp_path)
    seen = set().union(*(ids(snapshot, split) for split in SPLITS))
    assert seen == {f"i{number:05d}" for number in range(5, 40)}


def test_labels_are_mapped_to_the_present_taxonomy(lake, tmp_path):
    """Merged labels speak their heir's name; rows of retired ones are set aside."""
    put_corrections(lake, classification(), rows(60))
    taxonomy = {
        "version": 2,
        "labels": [
            {"id": "oil", "name": "fluid leak", "former_names": ["oil fault"]},
            {"id": "noise", "name": "noise fault", "retired": 2, "merged_into": "oil"},
            {"id": "heat", "name": "heat fault", "retired": 2},
            {"id": "smell", "name": "smell", "added": 2},
        ],
    }
    snapshot = build(lake, tmp_path, classification(taxonomy=taxonomy))
    assert snapshot.exclusions == {"label_retired": 20}
    completions = {row["completion"] for row in read_rows(snapshot.folder, "train")}
    assert completions == {"fluid leak"}


def test_golden_set_is_frozen_with_the_promoted_release(lake, tmp_path):
    """A later cycle keeps it row by row and never trains on it."""
    put_corrections(lake, classification(), rows(60))
    first = build(lake, tmp_path)
    put_corrections(lake, classification(), rows(60, 100))
    second = build(lake, tmp_path, cycle="2026Q3-1", golden_from=first.folder)
    assert read_rows(second.folder, "golden") == read_rows(first.folder, "golden")
    assert not ids(second, "golden") & ids(second, "train")
    assert second.counts["train"] == first.counts["train"] + 60


def test_carried_golden_set_forgets_erased_subjects(lake, tmp_path):
    """An erased person's rows leave the frozen golden set as well."""
    put_corrections(lake, classification(), rows(60, subject_id="p") + rows(60, 100))
    first = build(lake, tmp_path)
    assert {number < "i00060" for number in ids(first, "golden")} == {True, False}
    erase(lake, "p")
    second = build(lake, tmp_path, cycle="2026Q3-1", golden_from=first.folder)
    for split in SPLITS:
        assert all(number >= "i00100" for number in ids(second, split))


def test_golden_set_of_an_unknown_snapshot_is_refused(lake, tmp_path):
    """Without its membership nobody can tell whether a golden row was erased."""
    other = Lake(tmp_path / "other")
    put_corrections(other, classification(), rows(60))
    first = build(other, tmp_path)
    other.close()
    put_corrections(lake, classification(), rows(60))
    with pytest.raises(IntegrityError):
        build(lake, tmp_path, golden_from=first.folder)


def test_holdout_is_trained_on_once_no_figure_rests_on_it(lake, tmp_path):
    """Neither its rows nor the same text under another id, until the champion is replaced."""
    put_corrections(lake, classification(), rows(60) + rows(10, 100, slice="control"))
    first = build(lake, tmp_path)
    again = [correction(300 + n, input=text(100 + n), output=truth(100 + n)) for n in range(10)]
    put_corrections(lake, classification(), again)
    options = {"golden_from": first.folder, "holdout_since": LATER}
    champion = Champion("r1", LATER, first.hash)
    second = build(lake, tmp_path, cycle="2026Q3-1", champion=champion, **options)
    assert second.counts["holdout"] == 0
    assert second.exclusions == {"control_slice": 10, "leakage": 10}
    champion = Champion("r2", LATER, second.hash)
    third = build(lake, tmp_path, cycle="2026Q4-1", champion=champion, **options)
    assert third.counts["train"] == second.counts["train"] + 10
    assert third.exclusions == {"duplicate": 10}


@pytest.mark.parametrize("twin", ["control", "seed"])
def test_released_text_trains_in_whichever_row_is_not_a_duplicate(lake, tmp_path, twin):
    """A released row that loses to its twin does not bar their text: nothing is measured with it."""
    same = {"input": text(100), "output": truth(100)}
    twins = {"control": correction(200, slice="control", **same),
             "seed": correction(200, source="seed", slice=None, **same)}  # fmt: skip
    put_corrections(lake, classification(), [*rows(60), *rows(10, 100, slice="control")])
    put_corrections(lake, classification(), [twins[twin]])
    first = build(lake, tmp_path)
    options = {"golden_from": first.folder, "holdout_since": LATER}
    champion = Champion("r2", LATER, "0" * 32)
    second = build(lake, tmp_path, cycle="2026Q3-1", champion=champion, **options)
    assert second.counts["holdout"] == 0
    assert second.exclusions == {"duplicate": 1}
    expected = "i00100" if twin == "control" else "i00200"
    assert {"i00100", "i00200"} & ids(second, "train") == {expected}


def test_release_of_control_rows_gives_one_hash_for_one_log(tmp_path):
    """What was held out is read from the membership, in whatever order the lake holds it."""
    found = rows(60) + rows(10, 100, slice="control")
    hashes = set()
    for number, order in enumerate((found, found[::-1])):
        lake = Lake(tmp_path / f"lake{number}")
        put_corrections(lake, classification(), order)
        home = tmp_path / str(number)
        first = build(lake, home)
        options = {"golden_from": first.folder, "holdout_since": LATER}
        champion = Champion("r2", LATER, "0" * 32)
        second = build(lake, home, cycle="2026Q3-1", champion=champion, **options)
        assert second.counts["train"] == first.counts["train"] + 10
        hashes.add(second.hash)
        lake.close()
    assert len(hashes) == 1


def test_manifest_records_which_figures_rest_on_control_rows(lake, tmp_path):
    """Every window with its start, its end and its items, and how many control rows train."""
    control = [correction(100 + n, slice="control") for n in range(10)]
    control += [correction(200 + n, slice="control", event_time=LATER) for n in range(3)]
    put_corrections(lake, classification(), rows(60) + control[:4])
    first = build(lake, tmp_path)
    put_corrections(lake, classification(), control[4:])
    second = build(
        lake,
        tmp_path,
        cycle="2026Q3-1",
        golden_from=first.folder,
        holdout_since=LATER,
        champion=Champion("r1", LATER, first.hash),
    )
    manifest = json.loads((second.folder / "manifest.json").read_text())
    since = LATER.isoformat()
    promotion = "the next promotion"
    assert manifest["sources"]["control"] == {
        "items": 13,
        "trained_on": 6,
        "windows": [
            {"figure": "quality", "since": since, "until": promotion, "items": 3},
            {"figure": "holdout", "since": since, "until": promotion, "items": 3},
            {
                "figure": "calibration",
                "since": None,
                "until": "another release than r1 is the champion",
                "items": 4,
            },
        ],
    }


def put_evaluations(lake, cases):
    """Put (cycle, attempt, suite, arm, inference id, correct) into the lake."""
    names = ("cycle", "attempt", "suite", "arm", "inference_id", "correct")
    found = [{"workload_id": "defects"} | dict(zip(names, case, strict=True)) for case in cases]
    lake.append("evaluations", pa.Table.from_pylist(found, schema=TABLES["evaluations"].schema))


def test_fixed_cases_come_from_promoted_cycles(lake):
    """Right now and wrong before, in the last attempt of a promoted cycle."""
    put_evaluations(
        lake,
        [
            ("a", 1, "golden", "candidate", "x", True),
            ("a", 1, "golden", "champion", "x", False),
            ("a", 2, "golden", "candidate", "x", False),
            ("a", 2, "golden", "champion", "x", False),
            ("a", 2, "holdout", "candidate", "y", True),
            ("a", 2, "holdout", "champion", "y", False),
            ("a", 2, "golden", "candidate", "z", True),
            ("a", 2, "golden", "champion", "z", True),
            ("b", 1, "golden", "candidate", "w", True),
            ("b", 1, "golden", "champion", "w", False),
        ],
    )
    assert fixed_cases(lake, "defects", ["a"]) == {"y": FixedCase(1, 0, 0)}
    assert fixed_cases(lake, "defects", ["a", "b"]).keys() == {"y", "w"}
    assert fixed_cases(lake, "defects", []) == {}


def test_record_of_a_fixed_case_spans_the_promoted_cycles(lake):
    """Fixed, held, lost and fixed again; a case in two suites of one cycle counts once."""
    history = [(True, False), (True, True), (False, True), (True, False)]
    put_evaluations(
        lake,
        [
            (f"c{number}", 1, suite, arm, "x", correct)
            for number, outcome in enumerate(history)
            for suite in ("golden", "must_not_lose")
            for arm, correct in zip(("candidate", "champion"), outcome, strict=True)
        ],
    )
    promoted = [f"c{number}" for number in range(4)]
    assert fixed_cases(lake, "defects", promoted) == {"x": FixedCase(times=2, held=1, lost=1)}
    assert fixed_cases(lake, "defects", promoted[1:3]) == {}


def test_must_not_lose_suite_holds_the_fixed_cases(lake, tmp_path):
    """Cases that an earlier promoted cycle fixed are judged again for ever."""
    put_corrections(lake, classification(), rows(60) + rows(6, 100, slice="control"))
    first = build(lake, tmp_path)
    put_evaluations(
        lake,
        [
            ("2026Q2-1", 1, "holdout", "candidate", "i00100", True),
            ("2026Q2-1", 1, "holdout", "champion", "i00100", False),
        ],
    )
    second = build(
        lake,
        tmp_path,
        cycle="2026Q3-1",
        golden_from=first.folder,
        holdout_since=LATER,
        promoted=["2026Q2-1"],
    )
    assert ids(second, "must_not_lose") == {"i00100"}
    (row,) = read_rows(second.folder, "must_not_lose")
    assert (read_fixed(row), row["named"]) == (FixedCase(), False)
    assert {f"i{number:05d}" for number in range(101, 106)} < ids(second, "train")


def test_must_not_lose_rows_of_earlier_versions_are_read():
    """A row without a record was fixed once; one with an empty record was only named."""
    assert read_fixed({"inference_id": "x"}) == FixedCase(times=1, held=0, lost=0)
    assert read_fixed({"fixed": None, "named": True}) is None
    assert read_fixed({"fixed": {"times": 2, "held": 1, "lost": 1}}) == FixedCase(2, 1, 1)


def test_changed_snapshot_does_not_verify(lake, tmp_path):
    """One changed byte, or another name of the folder, is found."""
    put_corrections(lake, classification(), rows(40))
    snapshot = build(lake, tmp_path)
    assert verify_snapshot(snapshot.folder) == open_snapshot(snapshot.folder) == snapshot
    moved = snapshot.folder.rename(snapshot.folder.with_name("0" * 32))
    with pytest.raises(IntegrityError):
        verify_snapshot(moved)
    path = moved.rename(snapshot.folder) / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"fault", b"vault", 1))
    with pytest.raises(IntegrityError):
        read_rows(snapshot.folder, "train")


def test_damaged_snapshot_is_not_taken_for_finished(lake, tmp_path):
    """A build that finds its folder damaged says so and writes no membership."""
    put_corrections(lake, classification(), rows(40))
    snapshot = build(lake, tmp_path)
    (snapshot.folder / "golden.jsonl").unlink()
    with pytest.raises(IntegrityError):
        build(lake, tmp_path)


def test_line_separators_inside_a_text_do_not_break_a_row(lake, tmp_path):
    """Every character that some reader takes for the end of a line survives."""
    odd = [
        correction(n, input=f"{text(n)}\u2028next\x85line\x0c\r\nend \ud83d\ude00".encode(
            "utf-16", "surrogatepass").decode("utf-16"))
        for n in range(40)
    ]  # fmt: skip
    put_corrections(lake, classification(), odd)
    snapshot = build(lake, tmp_path)
    texts = {
        row["input"] for split in ("train", "golden") for row in read_rows(snapshot.folder, split)
    }
    assert texts == {one["input"] for one in odd}


def test_fifteen_hundred_rows_take_seconds_not_minutes(lake, tmp_path):
    """A build of the demo's size is quick."""
    workload = classification(golden_size=300)
    put_corrections(lake, workload, rows(1500))
    started = time.process_time()
    snapshot = build(lake, tmp_path, workload)
    assert time.process_time() - started < 10  # of CPU time; about 1 s
    assert snapshot.counts["golden"] == 300


def test_rows_of_a_chat_are_turns(lake, tmp_path):
    """TRL reads prompt and answer as messages; what is asked is the last turn."""
    prompt = ChatPrompt(system="Sort.", user="Text: {input}")
    workload = classification().model_copy(update={"prompt": prompt})
    put_corrections(lake, workload, rows(40))
    snapshot = build(lake, tmp_path, workload)
    row = read_rows(snapshot.folder, "train")[0]
    assert row["prompt"] == [
        {"role": "system", "content": "Sort."},
        {"role": "user", "content": f"Text: {row['input']}"},
    ]
    assert row["completion"] == [{"role": "assistant", "content": row["output"]}]
