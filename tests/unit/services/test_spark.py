"""The Spark of `flywheel services`: jars that the project names, and what clients are told."""

import hashlib
from pathlib import Path

import pytest

from flywheel.errors import IntegrityError, UnavailableError
from flywheel.services import spark
from flywheel.services.catalog import connections
from flywheel.services.service_ports import ON_REQUEST, extended
from flywheel.services.supervisor.plan import new_plan
from flywheel.services.supervisor.program import Layout
from flywheel.settings import load_settings


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the two jars that a project names."""
    names = ["io.delta:delta-spark_4.1_2.13:1.0", "io.delta:delta-storage:1.0"]
    digest = hashlib.sha256(b"jar").hexdigest()
    monkeypatch.setattr(spark, "_hashes", lambda: dict.fromkeys(names, digest))
    folder = tmp_path / "delta-spark-1.0"
    folder.mkdir()
    for jar in ("delta-spark_4.1_2.13-1.0.jar", "delta-storage-1.0.jar"):
        (folder / jar).write_bytes(b"jar")
    return tmp_path


def test_named_jars_are_taken(cache: Path):
    """A folder with what the project names is used as it is."""
    assert spark.install_jars(cache) == cache / "delta-spark-1.0"


def test_another_jar_is_refused(cache: Path):
    """A jar with another content starts nothing, and neither does one too few."""
    (cache / "delta-spark-1.0" / "delta-storage-1.0.jar").write_bytes(b"other")
    with pytest.raises(IntegrityError, match="delta-storage"):
        spark.install_jars(cache)
    (cache / "delta-spark-1.0" / "delta-storage-1.0.jar").unlink()
    with pytest.raises(UnavailableError, match="delta-storage"):
        spark.install_jars(cache)


def test_spark_starts_only_when_it_is_named():
    """No deployment needs it without a setting of its own."""
    assert "spark" in ON_REQUEST


def test_memory_and_master_come_from_the_settings(tmp_path: Path):
    """A set that is tested takes little of both."""
    settings = load_settings(spark_memory_mb=4096, spark_master="spark://host:7077")
    plan = new_plan(ephemeral=False, cache=tmp_path, memory_mb=512, properties={})
    plan = extended(plan, {"spark"}, settings, 1)
    assert (plan.spark_memory_mb, plan.spark_master) == (4096, "spark://host:7077")
    assert plan.ports == {"spark": (15002,)}
    tested = new_plan(ephemeral=True, cache=tmp_path, memory_mb=512, properties={})
    assert extended(tested, {"spark"}, settings, 1).spark_master == "local[1]"


def test_the_log_quotes_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Plans contain what people wrote: below a warning nothing is logged."""
    monkeypatch.setattr(spark, "install_environment", lambda *_: None)
    monkeypatch.setattr(spark, "install_jars", lambda _: None)
    server = spark.Server(tmp_path / "spark", tmp_path, tmp_path, 15002, 1024, "local[1]")
    spark.prepare(server, lambda _: None)
    assert "rootLogger.level = warn" in (server.folder / "log4j2.properties").read_text()
    command = spark.program(server).command
    assert f"-Dlog4j2.configurationFile={server.folder / 'log4j2.properties'}" in command
    assert spark.connections(server)["spark_token"] not in " ".join(command)


def test_clients_are_told_where_it_is_and_choose_themselves(tmp_path: Path):
    """The address and the token are published; which engine is used is a setting of its own."""
    layout = Layout(tmp_path)
    layout.make()
    plan = new_plan(ephemeral=False, cache=tmp_path, memory_mb=512, properties={})
    published = connections(layout, extended(plan, {"spark"}, load_settings(), 1)).settings()
    assert published["spark_url"] == "sc://127.0.0.1:15002"
    assert len(published["spark_token"]) > 32
    assert "lake_engine" not in published
