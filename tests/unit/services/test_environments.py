"""An environment of a server's own: made once, whole or not at all."""

import subprocess
from pathlib import Path

import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.services.supervisor import environments
from flywheel.services.supervisor.environments import install_environment


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Path:
    """Return a lock file without packages in place of the project's."""
    path = tmp_path / "nothing.lock"
    path.write_text("# no package\n")
    monkeypatch.setattr(environments, "_lock_file", lambda _: path)
    return path


def test_environment_is_made_once(lock, tmp_path):
    """The second call finds it, and another lock is another folder."""
    said: list[str] = []
    programs = install_environment("nothing", tmp_path / "cache", said.append)
    assert subprocess.run([programs / "python", "-c", ""], check=True).returncode == 0
    assert install_environment("nothing", tmp_path / "cache", said.append) == programs
    assert len(said) == 1
    lock.write_text("# still none\n")
    assert install_environment("nothing", tmp_path / "cache", said.append) != programs
    assert len(said) == 2


def test_half_environment_is_made_again(lock, tmp_path):
    """What an installation that was killed left behind is not taken for the whole."""
    programs = install_environment("nothing", tmp_path / "cache")
    (programs.parent / ".complete").unlink()
    (programs / "python").unlink()
    assert install_environment("nothing", tmp_path / "cache") == programs
    assert (programs / "python").exists()


def test_failed_installation_says_why(lock, tmp_path):
    """And the next try begins anew."""
    lock.write_text("nothing-of-that-name @ file:///nowhere/at/all.whl\n")
    with pytest.raises(UnavailableError, match="nothing could not be installed"):
        install_environment("nothing", tmp_path / "cache")
    lock.write_text("# no package\n")
    assert install_environment("nothing", tmp_path / "cache").is_dir()


def test_missing_lock_file_is_named(tmp_path):
    """An installed wheel has none: one's own server is the way out."""
    with pytest.raises(ConfigurationError, match=r"nothing\.lock is missing"):
        install_environment("nothing", tmp_path)
