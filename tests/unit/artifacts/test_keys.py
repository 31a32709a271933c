"""The keys under which the state stores artifacts are spelled where they are read and written."""

import ast
import itertools
from datetime import UTC, datetime
from pathlib import Path

from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.references import CandidateRef, DirectedReview, SnapshotRef
from tests.fakes.state_rows import LINEAGE

ROOT = Path(__file__).parents[3]
PRODUCT = ("flywheel", "assets", "sensors", "demo", "loop", "bench")
OWNERS = {
    "flywheel/artifacts/gate_file.py",
    "flywheel/artifacts/references.py",
    "flywheel/state/attempts.py",
    "flywheel/state/releases.py",
}
# Names that other documents have too: manifests, events, tables, approvals, trainings.
SHARED = {
    "base_digest",
    "dataset_folder",
    "dataset_hash",
    "gate_digest",
    "manifest_digest",
    "metrics",
    "release",
    "run_id",
    "taxonomy_version",
}
# The first keeps what the desk notes of a browser; the second shows the column as it is.
SHOWS = {"flywheel/state/desk_records.py", "flywheel/usecases/explain.py"}


def _keys():
    gate = GateReportRef(Path("p"), "g", "pass", 1, 2, datetime.now(UTC))
    snapshot, candidate = SnapshotRef(Path("d"), "h", {}), CandidateRef("r", "m", "h", "run")
    all_of_them = (gate, snapshot, candidate, DirectedReview(), LINEAGE)
    return {key for artifact in all_of_them for key in artifact.to_facts()}


def _files(*words):
    # Only what could be a finding is parsed: 500 files take seconds.
    for path in itertools.chain.from_iterable((ROOT / name).rglob("*.py") for name in PRODUCT):
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        if name not in OWNERS and any(word in text for word in words):
            yield name, ast.parse(text)


def test_no_key_is_spelled_elsewhere():
    """A typo in a key would be a fact that is silently missing."""
    keys = _keys() - SHARED
    assert len(keys) == 8
    spelled = [
        (name, node.value)
        for name, tree in _files(*keys)
        for statement in tree.body
        if not (
            isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
        )
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and node.value in keys
    ]
    assert spelled == []


def test_no_column_is_read_by_its_keys_elsewhere():
    """An attempt or a release is read through its properties; errors have facts of their own."""
    read = [
        (name, ast.unparse(node))
        for name, tree in _files(".facts")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "facts" and name not in SHOWS
        if ast.unparse(node) not in {"self.facts", "error.facts", "calibration.facts"}
    ]
    assert read == []
