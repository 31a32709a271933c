"""One function per store: what it holds of a person, taken out or, in a dry run, counted.

Each returns a receipt. Repeating one is harmless: it finds what is left.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.snapshot import open_snapshot
from flywheel.dataset.erasing import count_rows, erase_rows, finish_erasing
from flywheel.errors import ConfigurationError
from flywheel.eventlog.topics import DECLARED
from flywheel.lake.erasure import (
    Position,
    empty_dead_letters,
    erase_subjects,
    purge_replaced_files,
)
from flywheel.ports.event_log import LogRecord
from flywheel.review.merging.batch_figures import drop_review_figures
from flywheel.usecases.erasing.backups import backups_receipt
from flywheel.usecases.erasing.files import erase_from_files, needles_of
from flywheel.usecases.erasing.models import models_receipt
from flywheel.usecases.erasing.person import Person
from flywheel.usecases.erasing.publishing import keep_datasets
from flywheel.usecases.erasing.receipts import Receipt

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["STORES", "dead_letters_of", "snapshot_folders"]

_PURGED = (
    *("inferences", "feedback", "dead_letters", "review_items"),
    *("annotations", "corrections", "evaluations", "shadow_pairs", "judge_verdicts"),
    *("backfill_answers", "text_vectors"),
)
_AT_ONCE = 2_000
_DEAD_LETTERS = """
SELECT topic_id, "partition", "offset", raw FROM stored.dead_letters
WHERE raw IS NOT NULL AND (topic_id, "partition", "offset") > ($topic_id, $partition, $offset)
ORDER BY topic_id, "partition", "offset" LIMIT $most
"""


def erase_from_queue(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Delete the review items about the person's calls, judgments included."""
    count = person.rows.get("review_items", 0)
    if change:
        workloads = platform.workloads
        loaded = [
            (workloads[one], calls) for one, calls in person.calls.items() if one in workloads
        ]
        count = sum(platform.queue.erase(one, calls, person.texts) for one, calls in loaded)
        _require_loaded(platform, set(person.calls) - set(workloads))
    remains = []
    if platform.settings.review_queue == "label_studio":
        remains += [
            "Label Studio's own backups and logs hold its tasks: remove them by their retention",
            "its database keeps the bytes of deleted rows until they are written over: VACUUM it",
        ]
    return Receipt("queue", "review items with their judgments", count, remains)


def erase_from_log(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Empty the person's records in the event log, where the log can change a record."""
    if platform.settings.event_log == "kafka":
        return _kafka_receipt(platform, person)

    def is_theirs(record: LogRecord) -> bool:
        place = (record.partition.topic_id, record.partition.number, record.offset)
        return place in person.positions or person.spellings.are_in(record.value)

    if not (platform.home / "log.db").exists():
        return Receipt("log", "records", 0)
    if change:
        count = sum(platform.log.erase(topic, is_theirs) or 0 for topic in _topics(platform))
    else:  # what waits in the log is not counted
        count = len(person.positions | dead_letters_of(platform, person))
    return Receipt("log", "records emptied", count)


def erase_dead_letters(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Empty the dead letters that name the person in any spelling, or hold one of their events."""
    positions = dead_letters_of(platform, person)
    if change:
        empty_dead_letters(platform.lake, positions)
    remains = []
    if person.raw_id is None:
        remains.append(
            "dead letters that spell the person's id without its hash are not known by the hash: "
            "run the erasure with the id itself"
        )
    return Receipt("dead letters", "emptied", len(positions), remains)


def erase_from_lake(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Empty or delete the person's rows, and remove the files that held them."""
    if change:
        erase_subjects(platform.lake)
        for table in _PURGED:
            purge_replaced_files(platform.lake, table)
        drop_review_figures(platform.lake)
    tables = ", ".join(f"{table} {count}" for table, count in person.rows.items()) or "none"
    remains = [
        "events without content, so that the ledger balances, and the membership of snapshots",
        "counts per day, label and word in profiles and drift reports, which name no one",
    ]
    return Receipt("lake", f"rows ({tables})", sum(person.rows.values()), remains)


def erase_from_snapshots(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Take the person's rows out of every dataset snapshot, which keeps its name."""
    if not platform.artifacts.are_published:
        return _erase_from_snapshots(platform, person, change=change)
    # Of two machines that erase at once, one would publish what the other took out.
    with keep_datasets(platform):
        platform.artifacts.bring_all("/".join(filter(None, ("datasets", person.workload_id))))
        receipt = _erase_from_snapshots(platform, person, change=change)
    kept = "copies in homes of other machines, until these read the dataset or maintain the lake"
    return replace(receipt, remains=[*receipt.remains, kept])


def _erase_from_snapshots(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    if change:
        finish_erasing(platform.home / "datasets")
    count, evidence = 0, {}
    for folder in snapshot_folders(platform, person):
        ids = person.calls.get(folder.parent.name, frozenset()) | person.corrections
        rows = count_rows(folder, ids)
        count += rows
        if change and rows:
            erase_rows(folder, ids, platform.clock.now())
        snapshot = open_snapshot(folder)
        if change and snapshot.erased:
            platform.artifacts.publish_erased(folder)  # again, where a crash kept it from being so
        if rows or snapshot.erased:
            evidence[f"{folder.parent.name}/{folder.name}"] = snapshot.content
    description = f"rows of {len(evidence)} dataset snapshots"
    return Receipt("datasets", description, count, evidence={"content": evidence})


def erase_from_other_files(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Overwrite the person's texts in reports, logs and exchange folders; name other files."""
    texts = person.texts - _texts_of_others(platform, person)
    files = erase_from_files(platform.home, texts, change=change)
    remains = [f"{name} holds a text: look at it, and delete it by hand" for name in files.left]
    exchange = platform.settings.train_exchange_url
    if platform.settings.train_launcher == "ray" and not exchange.startswith("file:"):
        remains.append(
            f"trainings and backfills under way have their texts in {exchange} until they end"
        )
    description = "reports, logs and exchanged files"
    return Receipt("files", description, len(files.rewritten), remains)


def mlflow_receipt(platform: "Platform", person: Person, *, change: bool) -> Receipt:  # noqa: ARG001
    """Look for the person's texts in what MLflow shows of the releases.

    Flywheel writes none there: one that is found came in with a name, a reason or a description.
    """
    place = "in the home" if platform.settings.mlflow_url is None else "on its server"
    needles = needles_of(person.texts)
    remains, looked = [], 0
    for workload_id in person.calls:
        for release in platform.state.releases.of(workload_id):
            lineage = release.recorded_lineage
            if lineage is None:
                continue
            looked += 1
            for name, text in platform.registry.written_texts(workload_id, lineage.run_id).items():
                if any(needle in text.encode() for needle in needles):
                    remains.append(f"{name} of {release.release} holds a text: edit it in MLflow")
    description = f"places with a text, in {looked} runs {place}"
    adapters = "adapters that learned from the texts: see models"
    return Receipt("mlflow", description, len(remains), [*remains, adapters])


STORES: dict[str, Callable[..., Receipt]] = {
    "queue": erase_from_queue,
    "log": erase_from_log,
    "dead letters": erase_dead_letters,
    "datasets": erase_from_snapshots,
    # Before the lake's rows go: they tell which texts others wrote as well.
    "files": erase_from_other_files,
    "mlflow": mlflow_receipt,
    "models": models_receipt,
    "backups": backups_receipt,
    # Last: what was found here finds the rest again, if the erasure is cut off before.
    "lake": erase_from_lake,
}


def dead_letters_of(platform: "Platform", person: Person) -> set[Position]:
    """Return the positions of dead letters that still hold something of the person."""
    positions: set[Position] = set()
    after: Position = ("", -1, -1)
    while rows := platform.lake.rows(
        _DEAD_LETTERS,
        {"topic_id": after[0], "partition": after[1], "offset": after[2], "most": _AT_ONCE},
    ):
        for row in rows:
            after = (row["topic_id"], row["partition"], row["offset"])
            if after in person.positions or person.spellings.are_in(row["raw"]):
                positions.add(after)
    return positions


def snapshot_folders(platform: "Platform", person: Person) -> list[Path]:
    """Return the dataset snapshots of the workloads that are concerned."""
    workload = person.workload_id or "*"
    manifests = sorted((platform.home / "datasets").glob(f"{workload}/*/manifest.json"))
    return [path.parent for path in manifests if not path.parent.name.startswith(".")]


def _require_loaded(platform: "Platform", names: set[str]) -> None:
    # A workload whose file is gone or does not load may still have a queue.
    rows = platform.lake.rows("SELECT DISTINCT workload_id FROM stored.review_items")
    folders = {path.name for path in (platform.home / "queue").glob("*") if path.is_dir()}
    unreached = sorted(names & ({row["workload_id"] for row in rows} | folders))
    if unreached:
        raise ConfigurationError(
            f"The review items of {', '.join(unreached)} were not reached: no workload file loads.",
            next_step="put the file back or mend it",
        )


def _topics(platform: "Platform") -> list[str]:
    from flywheel.usecases.retired_topics import log_topics

    return [topic for topic in log_topics(platform) if topic in DECLARED]


def _kafka_receipt(platform: "Platform", person: Person) -> Receipt:
    (row,) = platform.lake.rows(
        "SELECT max(landed_at) AS newest FROM stored.inferences "
        "WHERE list_contains($calls, inference_id)",
        {"calls": sorted(person.all_calls)},
    )
    newest: datetime | None = row["newest"]
    remains = []
    for topic in _topics(platform):
        seconds = platform.log.topic_settings(topic).retention_seconds
        if newest is None:
            until = "its retention ends"
        elif seconds is None or seconds < 0:
            until = "it is deleted by hand: the topic has no retention"
        else:
            # A segment goes as a whole, when its newest message is old enough.
            ends = newest + timedelta(seconds=seconds)
            until = (
                f"{ends:%Y-%m-%d %H:%M} UTC, by its retention, and up to a segment longer "
                "(segment.ms, 7 days where nobody changed it)"
            )
        remains.append(f"Kafka keeps a message in {topic} until {until}")
    return Receipt("log", "records emptied (Kafka changes none)", 0, remains)


def _texts_of_others(platform: "Platform", person: Person) -> frozenset[str]:
    rows = [
        row
        for table in ("inferences", "corrections")
        for row in platform.lake.rows(
            f"SELECT DISTINCT input FROM stored.{table} WHERE list_contains($texts, input) "  # noqa: S608 - constant names
            "AND NOT list_contains($calls, coalesce(inference_id, '')) "
            "AND NOT list_contains($subjects, coalesce(subject_id, ''))",
            {
                "texts": sorted(person.texts),
                "calls": sorted(person.all_calls),
                "subjects": list(person.subject_ids),
            },
        )
    ]
    return frozenset(row["input"] for row in rows)
