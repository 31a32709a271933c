"""Spark Connect with Delta's jars: environment, jars, start command, health, and its token.

A deployment uses it only with ``FLYWHEEL_LAKE_ENGINE=spark``: that a server runs changes nothing. The
server has an environment of its own (400 MB); clients need the extra ``[spark]`` alone.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from flywheel.errors import UnavailableError
from flywheel.io.atomic import write_text
from flywheel.services.jars import fetching_with_jgo, jar_folder, project_file, require_jars
from flywheel.services.java import find_java
from flywheel.services.supervisor.environments import environment_programs, install_environment
from flywheel.services.supervisor.network import HOST, port_is_open
from flywheel.services.supervisor.passwords import made_once
from flywheel.services.supervisor.plan import Plan
from flywheel.services.supervisor.program import Program
from flywheel.settings import Settings

__all__ = ["NAME", "Server", "connections", "install_jars", "planned", "prepare", "program"]

NAME = "spark"
_TOKEN = "spark-token"  # noqa: S105 - the name of a file
_HASHES = Path("deploy") / "spark" / "jars.sha256"
_DELTA = "io.delta:delta-spark_4.1_2.13"
_LOG4J = "log4j2.properties"
_START_SECONDS = 300.0
_TEST_MEMORY_MB, _TEST_MASTER = 1024, "local[1]"
# Spark reaches into these packages of Java; `spark-submit` opens them in the same way.
_OPENED = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref",
    "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar",
)  # fmt: skip
_JVM = (
    "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+IgnoreUnrecognizedVMOptions",
    # With one compiler the default is 48 MB, and a thread looks all the time for what to throw out.
    "-XX:ReservedCodeCacheSize=240m",
    "-Djava.awt.headless=true", "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true", "--enable-native-access=ALL-UNNAMED",
)  # fmt: skip
# At INFO, plans would be logged, and plans quote what people wrote.
_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
"""


@dataclass(frozen=True)
class Server:
    """One Spark Connect on loopback, and the cluster or cores that it runs on."""

    folder: Path
    secrets: Path
    cache: Path
    port: int
    memory_mb: int
    master: str


def planned(plan: Plan, settings: Settings) -> Plan:
    """Return the plan with memory and master of its Spark; tests take little of both."""
    memory, master = settings.spark_memory_mb, settings.spark_master
    if plan.ephemeral:
        memory, master = _TEST_MEMORY_MB, _TEST_MASTER
    return replace(plan, spark_memory_mb=memory, spark_master=master)


def prepare(server: Server, on_progress: Callable[[str], None]) -> None:
    """Install Spark and the jars of Delta where they are missing, and find a Java.

    Raises:
        ConfigurationError: there is no Java.
        IntegrityError: a jar is not the one whose hash this project names.
        UnavailableError: something could not be fetched.
    """
    find_java()
    install_environment(NAME, server.cache, on_progress)
    on_progress("preparing spark")
    install_jars(server.cache)
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_text(server.folder / _LOG4J, _LOGGING)
    made_once(server.secrets, _TOKEN)


def program(server: Server) -> Program:
    """Describe the server to the supervisor."""
    home = _spark_home(server.cache)
    command = [str(find_java()), f"-Xmx{server.memory_mb}m", *_JVM]
    command += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    command.append(f"-Dlog4j2.configurationFile={server.folder / _LOG4J}")
    command += ["-cp", f"{home / 'jars' / '*'}:{_jars(server.cache) / '*'}"]
    command += ["org.apache.spark.deploy.SparkSubmit", "--master", server.master]
    for key, value in _configuration(server).items():
        command += ["--conf", f"{key}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    return Program(
        name=NAME,
        command=(*command, "spark-internal"),
        ports=(server.port,),
        ready=partial(port_is_open, server.port),
        environment={
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_CONNECT_AUTHENTICATE_TOKEN": made_once(server.secrets, _TOKEN),
        },
        directory=server.folder,
        start_seconds=_START_SECONDS,
    )


def connections(server: Server) -> dict[str, str]:
    """Return what a client needs; which engine is used is its own setting."""
    token = made_once(server.secrets, _TOKEN)
    return {"spark_url": f"sc://{HOST}:{server.port}", "spark_token": token}


def install_jars(cache_folder: Path) -> Path:
    """Return the folder of the jars of Delta, which is filled the first time (12 MB).

    Raises:
        IntegrityError: a jar is not the one whose hash this project names.
        UnavailableError: a jar could not be fetched.
    """
    return jar_folder(_jars(cache_folder), _fetch, _check, of="Delta")


def _configuration(server: Server) -> Mapping[str, str]:
    values = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": str(server.port),
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": str(server.folder / "warehouse"),
        "spark.local.dir": str(server.folder / "scratch"),
    }
    if server.master == _TEST_MASTER:
        # One core: each further part of a result is a task more and nothing gained, and a plan made
        # again after each stage is a job more.
        values |= dict.fromkeys(
            ("spark.sql.shuffle.partitions", "spark.databricks.delta.snapshotPartitions"), "1"
        )
        values["spark.sql.adaptive.enabled"] = "false"
    return values


def _spark_home(cache_folder: Path) -> Path:
    environment = environment_programs(NAME, cache_folder).parent
    installed = environment.glob("lib/python*/site-packages/pyspark")
    return next(installed, environment / "pyspark")


def _jars(cache_folder: Path) -> Path:
    (version,) = (name.rpartition(":")[2] for name in _hashes() if name.startswith(_DELTA))
    return cache_folder.absolute() / f"delta-spark-{version}"


@cache
def _hashes() -> dict[str, str]:
    # sha256 by group:artifact:version.
    lines = project_file(_HASHES, "Delta").read_text(encoding="utf-8").splitlines()
    return {coordinate: digest for digest, coordinate in (line.split() for line in lines)}


def _check(folder: Path) -> None:
    expected = {_jar_name(name): digest for name, digest in _hashes().items()}
    require_jars(folder, expected, of="Delta", listed=_HASHES.name)
    missing = sorted(name for name in expected if not (folder / name).is_file())
    if missing:
        raise UnavailableError(
            f"{folder} lacks {', '.join(missing)}.",
            next_step="remove the folder and start again",
        )


def _jar_name(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def _fetch(jars: Path) -> None:
    (delta,) = (name for name in _hashes() if name.startswith(_DELTA))
    missing = "jgo is not here to fetch the jars of Delta."
    with fetching_with_jgo("the jars of Delta", missing=missing) as jgo:
        # Most of what it names comes with Spark: only the jars with a hash are fetched.
        for artifact in jgo.resolve(delta):
            name = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            if name in _hashes():
                shutil.copy2(Path(artifact.resolve()), jars / _jar_name(name))
