"""`flywheel base build` takes its name from the file and its texts from the lake."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from flywheel.artifacts.base_folder import BaseModel, cached_folder
from flywheel.cli.base import app
from flywheel.errors import ConfigurationError, RefusedError
from flywheel.ingest.seed import import_seed
from flywheel.settings import load_settings
from flywheel.wiring import Platform
from tests.fakes.micro_base import classification, labeled

_OPTIONS = ["--workload", "parts"]


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A deployment with one workload; what would be built is recorded."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path / "workloads"))
    raw = classification().model_dump(mode="json", by_alias=True) | {"base_model": "tiny"}
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "parts.yaml").write_text(yaml.safe_dump(raw))
    found: list[dict[str, Any]] = []

    def build(platform: Platform, workload: Any, texts: Any, *, check: Any, **_: Any) -> BaseModel:
        base = BaseModel(workload.base_model, tmp_path, "a" * 64)
        check(base)
        found.append({"name": workload.base_model, "texts": list(texts)})
        return base

    monkeypatch.setattr(Platform, "build_base", build)
    return found


def run(*arguments: str) -> str:
    """Run `flywheel base build` and return what it prints."""
    result = CliRunner().invoke(app, ["build", *arguments, *_OPTIONS], catch_exceptions=False)
    return result.stdout


def test_imported_texts_are_used(builds: list[dict[str, Any]]):
    """Whoever has imported labeled rows gives no file a second time."""
    platform = Platform(load_settings())
    rows = [*labeled(30), ("  ", "seal")][:30]
    import_seed(
        platform.lake,
        platform.workload("parts"),
        rows,
        source_name="seed.csv",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    platform.close()
    assert "30 different texts" in run()
    (build,) = builds
    assert build["name"] == "tiny"
    assert sorted(build["texts"]) == sorted(text for text, _ in rows)


def test_name_that_the_file_does_not_have_is_refused(builds: list[dict[str, Any]]):
    """The workload file says which base it is; the command cannot contradict it in silence."""
    with pytest.raises(ConfigurationError, match="names the base model tiny, not smollm2"):
        run("smollm2")
    assert builds == []


def test_base_under_a_champion_is_not_exchanged(
    builds: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    """Another base would leave the champion's adapter without its model."""
    record = load_settings().home / "bases" / "parts.json"
    record.parent.mkdir()
    record.write_text('{"folder": "models/x", "digest": "b"}')
    run()  # nothing but the base answers yet
    monkeypatch.setattr(
        "flywheel.state.routes.Routes.champion", lambda _routes, _workload: "parts.1"
    )
    with pytest.raises(RefusedError, match=r"parts\.1 answers"):
        run()
    run("--replace")
    assert len(builds) == 2


def test_bases_are_listed_shown_and_verified(builds: list[dict[str, Any]], tmp_path: Path):
    """Where a base came from is one command away, and a changed byte another."""

    def make(folder: Path) -> dict[str, str]:
        (folder / "config.json").write_text("{}")
        return {"name": "tiny", "source": "built here", "license": "none"}

    def look(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code
        return result.stdout

    platform = Platform(load_settings())
    assert "was not built yet" in json.loads(look("list", "--json"))[0]["problem"]
    base = cached_folder(tmp_path / "cache", "tiny-1", make)
    placed = platform.bases.remember(platform.workload("parts"), base)
    assert "built here" in look("list")
    shown = look("show", "parts")
    assert "license: none" in shown
    assert base.manifest is not None
    assert base.manifest.files[0].sha256 in shown
    assert look("verify") == "parts: tiny, 1 files unchanged\n"
    (placed.folder / "config.json").write_text("[]")
    assert "config.json was changed" in look("verify", "parts", code=1)
    assert "config.json was changed" in json.loads(look("list", "--json"))[0]["problem"]
