from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from flywheel.errors import ConfigurationError
from flywheel.workload.files import load_workload
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.taxonomy_change import add_labels, fresh_label_id


def _taxonomy(*labels, version=3):
    return Taxonomy.model_validate({"version": version, "labels": list(labels)})


A, B, C = ({"id": name, "name": name.upper()} for name in "abc")
A_LATE = {"id": "d", "name": "D", "added": 3}


def test_active_labels_keep_the_files_order():
    """Retired labels are known but not offered."""
    taxonomy = _taxonomy(B, A | {"retired": 2}, C)
    assert taxonomy.names == ("B", "C")
    found = taxonomy.find("A")
    assert found is not None
    assert found.retired == 2


def test_a_former_name_finds_the_label():
    """Events of last year still speak of it."""
    taxonomy = _taxonomy(A | {"former_names": ["old"]}, B)
    found = taxonomy.find("old")
    assert found is not None
    assert found.id == "a"
    assert taxonomy.find("never") is None


def test_a_merged_label_resolves_to_its_heirs_heir():
    """Merges are followed to a label that is in use."""
    taxonomy = _taxonomy(
        A | {"retired": 2, "merged_into": "b"}, B | {"retired": 3, "merged_into": "c"}, C, A_LATE
    )
    heir = taxonomy.resolve("a")
    assert heir is not None
    assert heir.id == "c"


def test_split_retired_and_unknown_labels_need_a_person():
    """No heir is chosen by a machine."""
    taxonomy = _taxonomy(A | {"retired": 2, "split_into": ["b", "c"]}, B, C)
    assert taxonomy.resolve("a") is None
    assert taxonomy.resolve("nothing") is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([A, A | {"name": "other"}], "id used twice: a"),
        ([A, B | {"name": "A"}], "name used twice: A"),
        ([A, B | {"former_names": ["A"]}], "name used twice: A"),
        ([A, B | {"added": 4}], "speaks of a version after 3"),
        ([A, B, C | {"merged_into": "a"}], "say in which version it is `retired`"),
        ([A, B, C | {"retired": 2, "merged_into": "x"}], "'x', which is not a label"),
        ([A, B | {"retired": 2}], "fewer than two labels are active"),
        ([A, B | {"id": "Bad Id"}], "should match pattern"),
    ],
)
def test_contradictions_are_refused(labels, message):
    """The error says what is wrong with which label."""
    with pytest.raises(ValidationError, match=message):
        _taxonomy(*labels)


@pytest.fixture
def file(tmp_path: Path, repository: Path) -> Path:
    """Return a copy of the demo's workload file."""
    path = tmp_path / "defect_reports.yaml"
    path.write_text((repository / "deploy" / "workloads" / path.name).read_text())
    return path


def test_added_labels_make_a_new_version_and_leave_the_rest_as_it_was(file):
    """Comments, order and every other line of the file stay."""
    before = file.read_text().splitlines()
    version = load_workload(file).taxonomy_version
    workload = add_labels(
        file, ["cell swelling", "busbar: weld spatter"], descriptions={"cell swelling": "bulging"}
    )
    assert workload.taxonomy is not None
    assert workload.taxonomy_version == version + 1
    new = workload.taxonomy.labels[-2:]
    assert [(label.id, label.added) for label in new] == [
        ("cell_swelling", version + 1),
        ("busbar_weld_spatter", version + 1),
    ]
    assert load_workload(file) == workload
    after = file.read_text().splitlines()
    changed = [line for line in before if line not in after]
    assert changed == [f"  version: {version}"]
    assert len(after) == len(before) + 2


def test_adding_a_label_again_changes_nothing(file):
    """A repeated command makes no second version."""
    first = add_labels(file, ["cell swelling"])
    text = file.read_text()
    assert add_labels(file, ["cell swelling"]) == first
    assert file.read_text() == text


@pytest.mark.parametrize(
    "taxonomy",
    [
        "taxonomy: {version: 1, labels: [{id: a, name: A}, {id: b, name: B}]}",
        "taxonomy: {labels: [{id: a, name: A}, {id: b, name: B}]}",
        "taxonomy:\n  labels: [{id: a, name: A}, {id: b, name: B}]  # both",
        "taxonomy:\n  labels:\n  - id: a\n    name: A\n  - id: b\n    name: B # the last\n# end",
        "taxonomy:\n  labels:\n  - id: a\n    name: A\n  - id: b\n    name: >-\n      B\n\n# end",
    ],
)
def test_labels_are_added_however_the_file_is_written(tmp_path, taxonomy):
    """Flow and block style, with and without a version, comments at the end."""
    path = tmp_path / "w.yaml"
    path.write_text(
        "id: w\nowner: o\ntask: {type: classification}\nprompt: '{input}'\n"
        f"{taxonomy}\ncadence: monthly\n"
    )
    workload = add_labels(path, ["C"])
    assert workload.taxonomy is not None
    assert workload.taxonomy.names == ("A", "B", "C")
    assert workload.taxonomy_version == 2
    assert workload.cadence == "monthly"
    assert yaml.safe_load(path.read_text())["cadence"] == "monthly"


def test_the_name_of_a_retired_label_is_not_given_again(tmp_path):
    """It would speak of two things."""
    path = tmp_path / "w.yaml"
    path.write_text(
        "id: w\nowner: o\ntask: {type: classification}\nprompt: '{input}'\ntaxonomy:\n"
        "  version: 2\n  labels: [{id: a, name: A}, {id: b, name: B}, "
        "{id: c, name: C, retired: 2}]\n"
    )
    with pytest.raises(ConfigurationError, match="retired"):
        add_labels(path, ["C"])


def test_fresh_ids_are_never_used_ones():
    """Two names that look alike get two ids, each a valid one."""
    assert fresh_label_id("Größe 3!", set()) == "gr_e_3"
    assert fresh_label_id("42", set()) == "label_42"
    long = "x" * 40
    assert fresh_label_id(long, {"x" * 32}) == "x" * 30 + "_2"


def test_a_version_behind_the_labels_is_raised(tmp_path):
    """The order of the keys in the file does not matter."""
    path = tmp_path / "parts.yaml"
    raw = {
        "id": "parts",
        "owner": "ann",
        "task": {"type": "classification"},
        "prompt": "{input}",
        "taxonomy": {
            "labels": [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}],
            "version": 1,
        },
    }
    path.write_text(yaml.safe_dump(raw))

    changed = add_labels(path, ["loose bolt"])

    assert changed.taxonomy.version == 2
    assert changed.taxonomy.names == ("a", "b", "loose bolt")
