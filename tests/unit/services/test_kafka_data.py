import base64
import errno
from pathlib import Path

import pytest

from flywheel.errors import StorageError
from flywheel.services import kafka_data
from flywheel.services.java import coordinates, kafka_version
from flywheel.services.kafka import broker_names
from flywheel.services.kafka_data import checkpoint_of, format_data, is_formatted


def _data(folder: Path, *, cluster: str = "ours", layout: str = "1", written_by: str | None = None):
    (folder / "meta.properties").write_text(
        f"# a comment\nnode.id=1\nversion={layout}\ncluster.id={cluster}\n"
    )
    if written_by is not None:
        (folder / "kafka.version").write_text(written_by)
    return folder


def test_an_empty_folder_is_to_be_formatted(tmp_path):
    """Nothing there yet is no error."""
    assert not is_formatted(tmp_path, "ours")


def test_our_own_data_is_taken_as_it_is(tmp_path):
    """It was formatted before, by this version or an older one."""
    assert is_formatted(_data(tmp_path, written_by="4.0.0"), "ours")


@pytest.mark.parametrize(("cluster", "layout"), [("theirs", "1"), ("ours", "0")])
def test_data_of_another_kafka_is_refused(tmp_path, cluster, layout):
    """Another cluster's or another format's data is not touched; the way out is named."""
    with pytest.raises(StorageError, match="another Kafka") as caught:
        is_formatted(_data(tmp_path, cluster=cluster, layout=layout), "ours")
    assert f"move {tmp_path} away" in caught.value.next_step


def test_data_of_a_newer_kafka_is_refused(tmp_path):
    """A broker does not read what a later version wrote."""
    with pytest.raises(StorageError, match="newer than"):
        is_formatted(_data(tmp_path, written_by="99.0.0"), "ours")


def _kafkas_tool(data: Path):
    def run() -> None:
        data.mkdir(parents=True)
        (data / "bootstrap.checkpoint").write_bytes(b"features")
        _data(data)

    return run


def _no_tool() -> None:
    raise AssertionError("a Java machine was started")


def test_kafkas_tool_formats_once_and_every_other_broker_gets_a_copy(tmp_path):
    """The copy is of the same features; ids of cluster, node and folder are the broker's own."""
    first = checkpoint_of(tmp_path)
    assert kafka_version() in first.name
    data = [tmp_path / name / "data" for name in ("one", "two", "three")]
    ids = {"first": first, "cluster_id": "ours"}
    format_data(data[0], node=1, run=_kafkas_tool(data[0]), **ids)
    for number in (1, 2):
        format_data(data[number], node=number + 1, run=_no_tool, **ids)
    assert all(is_formatted(folder, "ours") for folder in data)
    assert all((folder / "bootstrap.checkpoint").read_bytes() == b"features" for folder in data)
    second, third = [_properties(folder) for folder in data[1:]]
    assert (second["node.id"], third["node.id"]) == ("2", "3")
    assert second["directory.id"] != third["directory.id"]
    assert all(
        len(base64.urlsafe_b64decode(p["directory.id"] + "==")) == 16 for p in (second, third)
    )


def _properties(folder: Path) -> dict[str, str]:
    lines = (folder / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_jars_are_named_in_one_file():
    """The coordinates are complete, with versions filled in."""
    assert coordinates()[0] == f"org.apache.kafka:kafka_2.13:{kafka_version()}"
    assert all(len(each.split(":")) == 3 and "$" not in each for each in coordinates())


def test_one_broker_has_no_number():
    """Several are numbered from one."""
    assert broker_names(1) == ["kafka"]
    assert broker_names(3) == ["kafka-1", "kafka-2", "kafka-3"]


def test_a_cache_that_cannot_be_written_costs_the_next_broker_its_copy(tmp_path, monkeypatch):
    """The folder that Kafka's tool made is good, and each further one is made by it too."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kafka_data, "copy_file", full)
    for name in ("one", "two"):
        data = tmp_path / name
        first = checkpoint_of(tmp_path)
        format_data(data, first=first, node=1, cluster_id="ours", run=_kafkas_tool(data))
        assert is_formatted(data, "ours")
