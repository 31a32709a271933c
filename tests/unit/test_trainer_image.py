"""The image of a Ray worker: what can be said of it where no container engine is."""

import re
from pathlib import Path


def _versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), flags=re.MULTILINE))


def test_the_worker_has_the_versions_of_the_launcher(repository):
    """What a worker installs is a part of what stands beside Dagster, hash by hash."""
    ours = _versions(repository / "requirements.lock")
    theirs = _versions(repository / "deploy" / "environments" / "trainer.lock")
    assert {"ray", "torch", "trl", "peft", "bitsandbytes", "cuda-toolkit"} <= theirs.keys()
    assert {name: ours.get(name) for name in theirs} == theirs
    lock = (repository / "deploy" / "environments" / "trainer.lock").read_text()
    assert lock.count("--hash=sha256:") > len(theirs)


def test_the_image_runs_as_nobody_on_the_python_of_the_other(repository):
    """Both images have one Python, which Ray asks for; no program in it runs as root."""
    images = [
        (repository / "deploy" / name).read_text() for name in ("Dockerfile", "trainer.Dockerfile")
    ]
    stages = [set(re.findall(r"^FROM (\S+)", image, flags=re.MULTILINE)) for image in images]
    assert stages == [{"${BASE}"}] * 2
    bases = [re.findall(r"^ARG BASE=(\S+)", image, flags=re.MULTILINE) for image in images]
    assert bases[0] == bases[1]
    assert bases[0][0].startswith("python:3.11.")
    assert re.findall(r"^USER (\S+)", images[1], flags=re.MULTILINE) == ["10001:10001"]
    copied = re.findall(r"^COPY (?!--from)(\S+) ", images[1], flags=re.MULTILINE)
    assert all((repository / path).exists() for path in copied)
