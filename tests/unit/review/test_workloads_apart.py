"""Two workloads in one lake: nothing that is asked, merged or measured of one comes from the other."""

import shutil
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.quality.control_slice import control_days, control_slice
from flywheel.review.merging.agreement import review_agreement
from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.merging.collect import collect, unreadable_annotations
from flywheel.review.merging.error_counts import read_error_rates
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.review.sampling.gold import read_known_answers
from flywheel.review.sampling.neighbors import neighbor_lines
from flywheel.review.sampling.sent_items import read_sent, spending_by_period
from flywheel.review.sampling.window_ledger import read_windows
from tests.fakes.review_world import (
    END,
    START,
    WEEK,
    answer,
    classification,
    put_answers,
    put_feedback,
    sample_week,
    truth,
)

WORKLOAD = classification(
    review={"budget": 200, "overlap": 0.5, "overlap_random": 0.5, "gold": 0.2, "label_checks": 0.2}
)
TABLES_OF_BOTH = (
    "inferences", "feedback", "review_items", "review_windows", "annotations", "corrections",
)  # fmt: skip


def opened(folder):
    """Open the lake, the queue and the desk of a folder."""
    clock = ManualClock(END)
    queue, desk = (each(folder / "queue", clock) for each in (LocalReviewQueue, LocalAnswerDesk))
    return Lake(folder / "lake"), queue, desk


def week(lake, queue, desk, number):
    """Land a week of answers, ask about them, and have all judge what is open, dee a single one."""
    first, start = number * 100, START + number * WEEK
    rows = [
        answer(n, timestamp=start + timedelta(minutes=n), confidence=0.5)
        for n in range(first, first + 16)
    ]
    put_answers(lake, WORKLOAD, rows, offset=first, landed_at=start + WEEK)
    reports = [sample_week(lake, queue, WORKLOAD, week=number, budget=24)]
    for people in (("dee", "ann", "ben"), ("ann", "cleo")):
        for person in people:
            for task in desk.open_items(WORKLOAD, person)[: 1 if person == "dee" else None]:
                n = int(task.inference_id[1:])
                errs = (n + len(person) + ord(person[0])) % 7 == 0
                desk.submit(WORKLOAD, task.item_id, person, truth(n + errs))
        reports.append(collect(lake, queue, WORKLOAD, now=start + WEEK))
    return reports


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return two folders with one week of a workload, the second with all of it as another's."""
    alone, beside = (tmp_path_factory.mktemp(name) for name in ("alone", "beside"))
    lake, queue, desk = opened(alone)
    week(lake, queue, desk, 0)
    put_feedback(lake, WORKLOAD, [(f"i{n:05d}", "boolean", False) for n in range(16)])
    lake.close()
    shutil.copytree(alone, beside, dirs_exist_ok=True)
    lake = Lake(beside / "lake")
    for table in TABLES_OF_BOTH:
        rows = lake.rows(f"SELECT * FROM stored.{table} WHERE workload_id = ?", [WORKLOAD.id])
        rows = [of_others(table, row) for row in rows]
        lake.append(table, pa.Table.from_pylist(rows, schema=TABLES[table].schema))
    lake.close()
    return alone, beside


def of_others(table, row):
    """Return a row as one of another workload: later, by others, with another answer."""
    row = row | {"workload_id": "others"}
    if table == "inferences":
        row |= {"offset": row["offset"] + 5000, "output": '"odd fault"', "error": None}
    if table == "review_items":
        row |= {"judgments": row["judgments"] + 1, "input": "the " + row["input"]}
    if table == "review_windows":
        ends = row["window_end"] + 2 * WEEK
        row |= {"number": row["number"] + 7, "window_end": ends, "batch_id": "later"}
    if table == "annotations":
        row |= {"annotator": "dan", "kind": "unreadable", "version": "9"}
    if table == "corrections":
        row |= {"annotators": ["dan"], "output": '"odd fault"', "version": row["version"] + 5}
    return row


def measured(lake):
    """Return what is said of the workload."""
    sent = read_sent(lake, WORKLOAD.id)
    end = START + 3 * WEEK
    return {
        "sent": sent,
        "spent": spending_by_period(lake, WORKLOAD.id),
        "windows": read_windows(lake, WORKLOAD.id),
        "people": annotator_figures(lake, WORKLOAD),
        "agreement": review_agreement(lake, WORKLOAD),
        "errors": read_error_rates(lake, WORKLOAD),
        "known": read_known_answers(lake, WORKLOAD, END),
        "neighbors": neighbor_lines(lake, WORKLOAD, [entry.item for entry in sent[-5:]]),
        "unreadable": unreadable_annotations(lake, WORKLOAD),
        "slice": control_slice(lake, WORKLOAD, START, end),
        "part": control_slice(lake, WORKLOAD, START + timedelta(minutes=5), end),
        "days": control_days(lake, WORKLOAD, START, end),
        "corrections": lake.rows(
            "SELECT * FROM latest_corrections WHERE workload_id = ? ORDER BY ALL", [WORKLOAD.id]
        ),
    }


def test_rows_of_another_workload_change_nothing(folders):
    """The same ids, texts and people there: figures, next batch, merges and what is said are equal."""
    told = []
    for folder in folders:
        lake, queue, desk = opened(folder)
        told.append((week(lake, queue, desk, 1), measured(lake)))
        lake.close()
    (reports, figures), beside = told
    assert all((figures["known"], figures["slice"].verdicts, figures["errors"].people))
    assert reports[0].by_slice.keys() >= {"control", "gold", "flagged", "uncertain"}
    assert any(report.adjudications for report in reports[1:])
    assert beside[0] == reports
    for name, figure in figures.items():
        assert beside[1][name] == figure, name
