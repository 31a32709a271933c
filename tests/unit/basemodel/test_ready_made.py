"""A model of the hub is the one at the revision that its folder is named by."""

import json
from pathlib import Path
from typing import Any

import pytest

from flywheel.basemodel import ready_made
from flywheel.basemodel.chat_check import check_chat
from flywheel.basemodel.fit import check_tiny_fits
from flywheel.errors import ConfigurationError
from flywheel.workload.chat_prompt import ChatPrompt
from tests.fakes.families import save_family
from tests.fakes.micro_base import classification


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
    monkeypatch.setattr(ready_made, "_check_config", lambda _name, _revision: None)
    monkeypatch.setattr(ready_made, "stated_license", lambda _name, _revision: None)
    monkeypatch.setattr(ready_made, "_hub_revision", lambda _name: "a" * 40)
    lines: list[str] = []
    first = ready_made.import_model("owner/model", tmp_path, on_progress=lines.append)
    assert loaded == [("owner/model", "a" * 40)] * 2
    assert lines == ["loading owner/model at aaaaaaaaaaaa"]
    monkeypatch.setattr(ready_made, "_hub_revision", lambda _name: "b" * 40)
    assert ready_made.import_model("owner/model", tmp_path).folder != first.folder


def test_import_ends_texts_as_turns_end(tmp_path: Path):
    """Phi ends turns otherwise than texts: trainer, masks and servers then know one end token."""
    from transformers import AutoConfig, AutoTokenizer

    source = save_family("phi", tmp_path / "phi")
    base = ready_made.import_model(str(source), tmp_path / "cache")
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    assert tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert AutoConfig.from_pretrained(base.folder).eos_token_id == tokenizer.eos_token_id
    ends = json.loads((base.folder / "generation_config.json").read_text())["eos_token_id"]
    assert ends == [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|endoftext|>")]


def test_base_that_cannot_chat_is_refused_for_a_chat(tmp_path: Path):
    """What a workload asks for is tried before anything stands on the base."""
    source = save_family("smollm", tmp_path / "smollm")
    (source / "chat_template.jinja").unlink()
    base = ready_made.import_model(str(source), tmp_path / "cache")
    workload = classification().model_copy(update={"prompt": ChatPrompt()})
    with pytest.raises(ConfigurationError, match="prompt: the base model has no chat template"):
        check_chat(workload, base)
    with pytest.raises(ConfigurationError, match="tiny has no chat template"):
        check_tiny_fits(workload)
