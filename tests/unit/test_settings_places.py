"""What belongs to a deployment lies in its home, and what lay beside it is still found."""

from pathlib import Path

import pytest

from flywheel.settings import load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of one's own, and no place set by the machine."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("HOME", "CACHE", "SERVICES", "WORKLOADS", "PROFILE"):
        monkeypatch.delenv(f"FLYWHEEL_{name}", raising=False)
    return here


def test_home_takes_bases_and_services_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing goes into the current folder when the home is elsewhere."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    settings = load_settings()
    assert settings.cache == tmp_path / "home" / "cache"
    assert settings.services == tmp_path / "home" / "services"


@pytest.mark.parametrize("home", [None, ".flywheel/home", ".flywheel/demo"])
def test_homes_of_a_checkout_share_one_cache(home: str | None):
    """Demo, loop and default deployment build a base once."""
    settings = load_settings() if home is None else load_settings(home=Path(home))
    assert settings.cache == Path(".flywheel/cache")
    assert settings.services == Path(".flywheel/services")


def test_what_lies_in_the_current_folder_is_used_on(folder: Path, tmp_path: Path):
    """Services and bases of an earlier version are found where they are."""
    (folder / ".flywheel" / "services").mkdir(parents=True)
    settings = load_settings(home=tmp_path / "home")
    assert settings.services == Path(".flywheel/services")
    assert settings.cache == tmp_path / "home" / "cache"


def test_what_is_set_is_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A place that was named is never moved."""
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "cache"))
    settings = load_settings(home=tmp_path / "home", services=tmp_path / "services")
    assert settings.cache == tmp_path / "cache"
    assert settings.services == tmp_path / "services"


def test_profile_finds_the_services_of_the_home(tmp_path: Path):
    """What `flywheel services up` wrote into the home is read from there."""
    services = tmp_path / "home" / "services"
    services.mkdir(parents=True)
    (services / "connections.toml").write_text('vllm_url = "http://127.0.0.1:9"\n')
    settings = load_settings(home=tmp_path / "home", profile="services")
    assert settings.vllm_url == "http://127.0.0.1:9"
