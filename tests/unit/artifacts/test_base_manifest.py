"""A base model that was changed by one byte is not loaded, and what was read is not read again."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from flywheel.artifacts import base_manifest
from flywheel.artifacts.base_folder import RECORD, cached_folder, load_base
from flywheel.basemodel import HomeBases
from flywheel.basemodel.licenses import stated_license
from flywheel.basemodel.origins import require_allowed
from flywheel.errors import IntegrityError, RefusedError
from flywheel.serve.local_server import LocalModelServer
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.train.recipe import train
from tests.fakes.micro_base import classification, micro_base, training_spec


@pytest.fixture
def base(tmp_path):
    """Return a base of two files in a cache."""

    def make(folder: Path) -> dict[str, str]:
        (folder / "config.json").write_text('{"hidden_size": 64}')
        (folder / "model.safetensors").write_bytes(bytes(64))
        facts = {"source": "owner/m@abc", "revision": "abc", "license": "mit"}
        return {"name": "owner/m", **facts}

    return cached_folder(tmp_path / "cache", "m-1", make)


def change_a_byte(folder, name="model.safetensors"):
    """Change one byte in place: size, inode and time of change as seen by `ls` stay."""
    path = folder / name
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_manifest_says_where_a_base_came_from(base):
    """Origin, revision, license and every file are in the record, and give the digest."""
    manifest = base.manifest
    assert (manifest.origin, manifest.revision, manifest.license) == ("owner/m@abc", "abc", "mit")
    assert [(f.path, f.size) for f in manifest.files] == [
        ("config.json", 19),
        ("model.safetensors", 64),
    ]
    assert base_manifest.digest_of(manifest.files) == base.digest


@pytest.mark.parametrize("verify", [True, False])
def test_one_changed_byte_is_seen(base, verify):
    """Also by the cheap check, and with the time of the change set back."""
    load_base(base.folder)
    change_a_byte(base.folder)
    with pytest.raises(IntegrityError, match=r"model\.safetensors was changed"):
        load_base(base.folder, verify=verify)


def test_what_was_read_is_not_read_again(base, monkeypatch):
    """A second load asks the file system alone; `verify` reads all, and writes nothing."""
    load_base(base.folder)
    read = []
    real = base_manifest._sha256
    monkeypatch.setattr(base_manifest, "_sha256", lambda path: read.append(path) or real(path))
    load_base(base.folder)
    assert read == []
    (base.folder / "config.json").touch()
    load_base(base.folder)
    assert [path.name for path in read] == ["config.json"]
    note = next(base.folder.parent.glob(".*checked.json"))
    note.unlink()
    load_base(base.folder, verify=True)
    assert len(read) == 3
    assert not note.exists()


def test_base_of_an_earlier_version_gets_its_manifest(base, caplog):
    """At first sight, which is said; its digest stays, and one that was changed gets none."""
    record = json.loads((base.folder / RECORD).read_text())
    del record["manifest"]
    (base.folder / RECORD).write_text(json.dumps(record))
    assert load_base(base.folder, verify=True) == base
    assert "manifest" not in json.loads((base.folder / RECORD).read_text())
    with caplog.at_level(logging.WARNING):
        assert load_base(base.folder) == base
        load_base(base.folder)
    (line,) = caplog.messages
    assert "came without a manifest: it has one now" in line
    assert load_base(base.folder).manifest.origin == "owner/m@abc"
    (base.folder / RECORD).write_text(json.dumps(record))
    change_a_byte(base.folder)
    with pytest.raises(IntegrityError, match="not as it was built"):
        load_base(base.folder)


@pytest.mark.parametrize("name", ["config.json", "more.txt"])
def test_missing_and_added_files_are_seen(base, name):
    """The files are those of the manifest, no more and no fewer."""
    path = base.folder / name
    path.unlink() if path.exists() else path.write_text("x")
    with pytest.raises(IntegrityError, match=f"not those of its manifest: {name}"):
        load_base(base.folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytorch_model.bin", "x"),
        ("modeling_x.py", "x"),
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": "x.X"}}'),
    ],
)
def test_pickles_and_code_are_not_loaded(tmp_path, name, text):
    """Weights come from safetensors alone, and no code of a model is run."""

    def make(folder: Path) -> dict[str, str]:
        (folder / name).write_text(text)
        return {"name": "x"}

    with pytest.raises(IntegrityError, match=rf"is not loaded: {name}"):
        cached_folder(tmp_path, "x", make)


def test_changed_model_does_not_train_judge_or_serve(tmp_path):
    """Trainer, both servers, and whoever asks a deployment for its base refuse it alike."""
    folder = Path(shutil.copytree(micro_base().folder, tmp_path / "cache" / "tiny"))
    placed = HomeBases(tmp_path / "home", tmp_path / "cache")
    workload = classification().model_copy(update={"base_model": "tiny"})
    home = placed.remember(workload, load_base(folder)).folder
    change_a_byte(home)  # hard links: that of the cache as well
    message = r"model\.safetensors was changed"
    spec = training_spec(tmp_path / "rows").model_copy(update={"base_folder": home})
    with pytest.raises(IntegrityError, match=message):
        train(spec, tmp_path / "out")
    with pytest.raises(IntegrityError, match=message):
        placed.find(workload)  # gate, gateway and `ask` get their server by it
    with pytest.raises(IntegrityError, match=message):
        LocalModelServer(home)
    with pytest.raises(IntegrityError, match=message):
        VllmModelServer(home, "http://127.0.0.1:1")


def test_origins_are_an_allow_list():
    """What an owner does not name is not used; without a list all is."""
    for name in ("tiny", "Qwen/Qwen3-0.6B"):
        require_allowed(name, None)
        require_allowed(name, "tiny, Qwen/*")
    with pytest.raises(RefusedError, match="smollm2 is not among the allowed ones"):
        require_allowed("smollm2", "tiny, Qwen/*")


@pytest.mark.parametrize(
    ("card", "stated"),
    [("---\nlicense: mit\n---\n# M", "mit"), ("# M", None), ("---\n[\n---", None), (None, None)],
)
def test_license_is_what_the_card_states(tmp_path, card, stated):
    """A card that says nothing gives nothing."""
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert stated_license(str(tmp_path), None) == stated


def test_license_of_a_hub_model_is_that_of_its_pinned_revision(tmp_path, monkeypatch):
    """A card that was changed since says nothing about the weights that are used."""
    import huggingface_hub

    def download(name: str, file: str, *, revision: str) -> str:
        card = tmp_path / f"{name.replace('/', '-')}-{revision}-{file}"
        card.write_text("---\nlicense: mit\n---\n" if revision == "abc" else "# none")
        return str(card)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert stated_license("owner/m", "abc") == "mit"
    assert stated_license("owner/m", "def") is None
