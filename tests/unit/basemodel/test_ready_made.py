"""A model of the hub is the one at the revision that its folder is named by."""

from pathlib import Path
from typing import Any

import pytest

from flywheel.basemodel import ready_made


class _Saved:
    def save_pretrained(self, folder: Path) -> None:
        (folder / "config.json").write_text("{}")


def test_hub_model_is_loaded_at_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A push to the hub between question and download changes nothing."""
    import transformers

    loaded: list[tuple[str, str | None]] = []

    def from_pretrained(name: str, *, revision: str | None = None, **_: Any) -> _Saved:
        loaded.append((name, revision))
        return _Saved()

    for loader in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer):
        monkeypatch.setattr(loader, "from_pretrained", from_pretrained)
    monkeypatch.setattr(ready_made, "_hub_revision", lambda _name: "a" * 40)
    lines: list[str] = []
    first = ready_made.import_model("owner/model", tmp_path, on_progress=lines.append)
    assert loaded == [("owner/model", "a" * 40)] * 2
    assert lines == ["loading owner/model at aaaaaaaaaaaa"]
    monkeypatch.setattr(ready_made, "_hub_revision", lambda _name: "b" * 40)
    assert ready_made.import_model("owner/model", tmp_path).folder != first.folder
