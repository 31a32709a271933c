"""Edits of a taxonomy keep every judgment: those that would not are refused by all readers."""

import pytest
import yaml
from typer.testing import CliRunner

from flywheel.cli.workloads import app
from flywheel.errors import ConfigurationError, IntegrityError, NotFoundError
from flywheel.settings import load_settings
from flywheel.wiring import Platform
from flywheel.workload.files import load_workload
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.taxonomy_change import write_taxonomy
from flywheel.workload.taxonomy_edits import merge_labels, rename_label, retire_labels, split_label
from flywheel.workload.taxonomy_losses import taxonomy_losses
from flywheel.workload.taxonomy_record import TaxonomyRecords
from tests.fakes.review_world import classification, correction, put_corrections

HEAD = "id: defects\nowner: o\ntask: {type: classification}\nprompt: '{input}'\n"
FLOW = "taxonomy: {version: 1, labels: [{id: oil, name: oil fault}, {id: noise, name: noise fault}, {id: heat, name: heat fault}]}\n"
BLOCK = """taxonomy:
  version: 1
  labels:
    # fluids
    - id: oil
      name: oil fault # all kinds
      description: >-
        whatever drips
    - {id: noise, name: "noise fault",}
    - name: heat fault
      id: heat

# the end
"""
LISTS = """taxonomy:
  version: 1
  labels:
  - id: oil
    name: &wet oil fault
    description: *wet
    former_names:
    - leak of old
    - drip # once
  # sounds
  - {id: noise, name: noise fault}
  - {id: heat, name: heat fault}
"""


def taxonomy(*changes, version=1):
    """Return the three labels, each with its changes."""
    names = ("oil", "noise", "heat")
    given = [*changes, *({} for _ in names)]
    labels = [
        {"id": name, "name": f"{name} fault"} | change
        for name, change in zip(names, given, strict=False)
    ]
    return Taxonomy.model_validate({"version": version, "labels": labels})


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    """Return a platform whose workload has three accepted judgments under its taxonomy."""
    folder = tmp_path / "workloads"
    folder.mkdir()
    (folder / "defects.yaml").write_text(HEAD + BLOCK)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    platform = Platform(load_settings())
    assert list(platform.workloads) == ["defects"]
    put_corrections(platform.lake, classification(), [correction(n) for n in range(6)])
    yield platform
    platform.close()


def edited(platform, old, new):
    """Edit the workload file by hand."""
    path = platform.settings.workload_folder / "defects.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def run(*arguments):
    """Run `flywheel taxonomy`."""
    return CliRunner().invoke(app, ["taxonomy", *arguments], catch_exceptions=False)


BY_HAND = {
    "a name changed": ("name: oil fault", "name: leak", "rename defects 'oil fault' leak"),
    "a line deleted": (
        '    - {id: noise, name: "noise fault",}\n',
        "",
        "retire defects 'noise fault'",
    ),
    "an id changed": ("id: heat", "id: warm", "retire defects 'heat fault'"),
    "a label added at the same version": (
        "    - name: heat fault",
        "    - {id: smell, name: smell}\n    - name: heat fault",
        "set `version: 2`",
    ),
}


@pytest.mark.parametrize(("old", "new", "command"), BY_HAND.values(), ids=BY_HAND)
def test_an_edit_that_drops_judgments_is_refused_with_the_command(deployment, old, new, command):
    """Whatever loads the file names what would be lost and what to run; undone, all is well."""
    edited(deployment, old, new)
    assert deployment.workloads == {}
    with pytest.raises(ConfigurationError, match="drop judgments") as caught:
        deployment.workload("defects")
    assert command in caught.value.next_step
    path = deployment.settings.workload_folder / "defects.yaml"
    path.write_text(HEAD + BLOCK)
    assert list(deployment.workloads) == ["defects"]


def test_before_anything_was_judged_a_taxonomy_is_edited_freely(tmp_path):
    """There is nothing to drop."""
    (tmp_path / "workloads").mkdir()
    path = tmp_path / "workloads" / "defects.yaml"
    platform = Platform(load_settings(home=tmp_path, workloads=tmp_path / "workloads"))
    for name in ("oil fault", "leak", "spill"):
        path.write_text(HEAD + BLOCK.replace("oil fault", name))
        assert platform.workload("defects").taxonomy.names[0] == name
    platform.close()


def test_the_command_makes_a_rename_by_hand_good(deployment):
    """It is run as the error says, and the judgments count under the new name."""
    edited(deployment, "name: oil fault", "name: leak")
    done = run("rename", "defects", "oil fault", "leak", "--yes")
    assert "2  oil fault: is called leak" in done.output
    found = deployment.workload("defects").taxonomy
    assert (found.version, found.names[0], found.labels[0].former_names) == (
        2,
        "leak",
        ("oil fault",),
    )


def test_the_command_makes_a_deletion_by_hand_good(deployment):
    """The label comes back as a retired one, or under the heir that is named."""
    edited(deployment, '    - {id: noise, name: "noise fault",}\n', "")
    done = run("merge", "defects", "noise fault", "--into", "heat fault", "--yes")
    assert "2  noise fault: counts as heat fault" in done.output
    found = deployment.workload("defects").taxonomy
    assert found.resolve("noise").name == "heat fault"


def test_a_preview_changes_nothing(deployment):
    """Neither with --dry-run nor where the question is answered with no."""
    path = deployment.settings.workload_folder / "defects.yaml"
    done = run("split", "defects", "oil fault", "--into", "drip", "--into", "spill", "--dry-run")
    assert "2  oil fault: set aside (label oil was retired)" in done.output
    assert "open cycle: none" in done.output
    asked = CliRunner().invoke(app, ["taxonomy", "retire", "defects", "oil fault"], input="n\n")
    assert asked.exit_code == 1
    assert path.read_text() == HEAD + BLOCK


def test_two_edits_by_hand_are_made_good_one_after_the_other(deployment):
    """The first command writes what it can, and says what is left."""
    edited(deployment, "name: oil fault", "name: leak")
    edited(deployment, "name: heat fault", "name: warmth")
    first = run("rename", "defects", "oil fault", "leak", "--yes")
    assert first.exit_code == 1
    assert "rename defects 'heat fault' warmth" in first.output
    assert run("rename", "defects", "heat fault", "warmth", "--yes").exit_code == 0
    assert deployment.workload("defects").taxonomy.names == ("leak", "noise fault", "warmth")


@pytest.mark.parametrize("text", [FLOW, BLOCK, LISTS], ids=["flow", "block", "lists and anchors"])
@pytest.mark.parametrize(
    "change",
    [
        lambda t: rename_label(t, "oil fault", "leak: wet #1"),
        lambda t: merge_labels(t, ["noise fault"], "heat fault"),
        lambda t: split_label(t, "heat fault", ["glow", "smoke", "oil fault"]),
        lambda t: retire_labels(t, ["noise fault"]),
        lambda t: rename_label(rename_label(t, "oil fault", "leak"), "leak", "oil fault"),
    ],
    ids=["rename", "merge", "split", "retire", "there and back"],
)
def test_a_change_is_written_however_the_file_is(tmp_path, text, change):
    """Flow and block style; comments, order and every other line stay."""
    path = tmp_path / "defects.yaml"
    path.write_text(HEAD + text)
    before = load_workload(path)
    changed = change(before.taxonomy)
    assert write_taxonomy(path, changed) == load_workload(path)
    after = load_workload(path)
    assert after.taxonomy == changed
    assert taxonomy_losses("defects", before.taxonomy, after.taxonomy) == []
    comments = [line for line in text.splitlines() if "#" in line]
    assert all(line.split("#")[1] in path.read_text() for line in comments)
    rest = yaml.safe_load(path.read_text())
    assert rest | {"taxonomy": None} == yaml.safe_load(HEAD + text) | {"taxonomy": None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: rename_label(t, "oil fault", "noise fault"), "used twice"),
        (lambda t: rename_label(t, "oil fault", "NOISE FAULT"), "take for one"),
        (lambda t: merge_labels(t, ["oil fault"], "oil fault"), "into itself"),
        (lambda t: split_label(t, "oil fault", ["drip"]), "two or more"),
        (lambda t: retire_labels(t, ["oil fault", "noise fault"]), "fewer than two"),
    ],
)
def test_a_change_that_makes_no_taxonomy_is_refused(change, message):
    """With what is wrong about it."""
    with pytest.raises(ConfigurationError, match=message):
        change(taxonomy())


def test_an_unknown_label_is_answered_with_the_choices():
    """Of the labels in use."""
    with pytest.raises(NotFoundError) as caught:
        retire_labels(taxonomy(), ["nothing"])
    assert "oil fault, noise fault, heat fault" in caught.value.next_step


@pytest.mark.parametrize(
    ("after", "losses"),
    [
        (taxonomy(), 0),
        (taxonomy({"description": "wet"}), 0),
        (taxonomy({"name": "leak", "former_names": ["oil fault"]}, version=2), 0),
        (taxonomy({"name": "leak", "former_names": ["oil fault"]}), 1),
        (taxonomy({"name": "leak"}, {"name": "sound"}, version=2), 2),
        (taxonomy({"retired": 2}, version=2), 0),
        (None, 1),
    ],
)
def test_losses(after, losses):
    """Descriptions are free; names, ids and versions are not."""
    assert len(taxonomy_losses("defects", taxonomy(), after)) == losses


def test_a_version_does_not_go_back():
    """Judgments say which version they speak."""
    [loss] = taxonomy_losses("defects", taxonomy(version=3), taxonomy(version=2))
    assert "went back from 3 to 2" in loss.what


def test_a_record_that_cannot_be_read_is_said(tmp_path):
    """It is a finding about one workload, not a fault of whoever reads it."""
    (tmp_path / "defects.json").mkdir()
    records = TaxonomyRecords(tmp_path, lambda _: True)
    with pytest.raises(IntegrityError, match="is damaged: Is a directory"):
        records.of("defects")
