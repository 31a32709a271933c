"""Kafka's jars are those that the project names, or no broker starts."""

import hashlib
import shutil
from pathlib import Path

import pytest

from flywheel.errors import IntegrityError
from flywheel.services import java


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two jars, and a project that names them."""
    named = tmp_path / "deploy"
    named.mkdir()
    pom = shutil.copy(java._pom(), named / "pom.xml")
    contents = {"kafka_2.13-4.3.1.jar": b"broker", "log4j.jar": b"log"}
    jars = tmp_path / f"kafka-{java.kafka_version()}"
    jars.mkdir()
    for name, content in contents.items():
        (jars / name).write_bytes(content)
    lines = [f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in contents.items()]
    (named / "jars.sha256").write_text("".join(lines))
    monkeypatch.setattr(java, "_pom", lambda: Path(pom))
    return tmp_path


def test_jars_of_the_project_are_taken(cache: Path):
    """A folder with the jars that the project names is used as it is."""
    assert java.install_jars(cache) == cache / f"kafka-{java.kafka_version()}"


@pytest.mark.parametrize("name", ["log4j.jar", "extra.jar"])
def test_other_jars_are_refused(cache: Path, name: str):
    """A jar with another content, or one that nobody named, starts nothing."""
    (cache / f"kafka-{java.kafka_version()}" / name).write_bytes(b"something else")
    with pytest.raises(IntegrityError, match=name):
        java.install_jars(cache)


def test_fetched_jars_are_checked_before_they_are_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a registry gave is looked at while it is still in a scratch folder."""
    target = cache / f"kafka-{java.kafka_version()}"
    shutil.rmtree(target)

    def fetch(_maven: str, jars: Path) -> bool:
        (jars / "kafka_2.13-4.3.1.jar").write_bytes(b"from elsewhere")
        return True

    monkeypatch.setattr(java.shutil, "which", lambda _program: "mvn")
    monkeypatch.setattr(java, "_fetch_with_maven", fetch)
    with pytest.raises(IntegrityError, match=r"kafka_2\.13"):
        java.install_jars(cache)
    assert not target.exists()


def test_the_project_names_every_jar():
    """Every coordinate of the pom has a jar with a hash."""
    lines = (java._pom().parent / "jars.sha256").read_text().splitlines()
    names = {line.split()[1] for line in lines}
    assert all(len(line.split()[0]) == 64 for line in lines)
    for coordinate in java.coordinates():
        _, artifact, version = coordinate.split(":")
        assert f"{artifact}-{version}.jar" in names
