"""The tiny base: its tokens, its output rows, its cache."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from flywheel.artifacts.base_folder import RECORD
from flywheel.basemodel import build_base, load_base
from flywheel.basemodel.initial_weights import ANSWER_NORM
from flywheel.basemodel.surfaces import answer_segments, reserved_surfaces
from flywheel.errors import DataError, IntegrityError, NotFoundError, UnavailableError
from tests.fakes.micro_base import MICRO, classification, codec, extraction, micro_base, texts


def tokenizer(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_labels_and_spares_are_one_token_each():
    """Every surface, reserved ones included, is a single token that decodes to itself."""
    base = micro_base()
    tokens = tokenizer(base.folder)
    for surface in (*base.surfaces.values(), *base.reserved):
        ids = tokens(surface)["input_ids"]
        assert len(ids) == 1
        assert tokens.decode(ids, skip_special_tokens=True) == surface


def test_any_text_goes_round():
    """Byte-level tokens lose nothing, also of scripts and signs that no text had."""
    tokens = tokenizer(micro_base().folder)
    text = "Ölleck at 5 bar?\n\t«漏油» 🛢️ <|end|"
    assert tokens.decode(tokens(text)["input_ids"]) == text


def test_answer_of_a_closed_schema_is_four_tokens():
    """What is forced is one token, and so is each value with what follows it."""
    workload = extraction()
    tokens = tokenizer(micro_base(workload).folder)
    text = codec(workload).encode({"part": "seal", "urgency": "high"})
    assert tokens.tokenize(text) == ['{"part":"', "[seal]", '","urgency":"', 'high"}']
    assert answer_segments(workload) == ['{"part":"', '","urgency":"', 'low"}', 'high"}']


def test_answer_rows_are_orthogonal_and_large():
    """Output rows of label and spare tokens are far apart: an adapter can tell them apart."""
    base = micro_base()
    ids = tokenizer(base.folder).convert_tokens_to_ids([*base.surfaces.values(), *base.reserved])
    rows = load_file(base.folder / "model.safetensors")["lm_head.weight"][ids]
    products = rows @ rows.T
    np.testing.assert_allclose(products, ANSWER_NORM**2 * np.eye(len(ids)), atol=1e-3)


def test_weights_lie_on_the_nf4_grid():
    """Training on the NF4 base and serving the folder use the same weights."""
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weights = load_file(micro_base().folder / "model.safetensors")
    weight = torch.from_numpy(weights["model.layers.1.mlp.up_proj.weight"])
    torch.testing.assert_close(
        dequantize_4bit(*quantize_4bit(weight, quant_type="nf4")), weight, rtol=1e-5, atol=1e-7
    )


def test_chat_template_only_joins():
    """The chat template adds nothing to the messages' text."""
    messages = [{"role": "user", "content": "a "}, {"role": "assistant", "content": "b"}]
    rendered = tokenizer(micro_base().folder).apply_chat_template(messages, tokenize=False)
    assert rendered == "a b"


def test_spares_never_take_a_label_name():
    """A label that is called like a spare keeps its name to itself."""
    assert reserved_surfaces(2, {"label_0": "[label_0]"}) == ("[label_1]", "[label_2]")


def test_same_inputs_are_found_again_and_other_inputs_build_another(tmp_path: Path):
    """The folder's name follows from texts, labels, measures and seed, not from their order."""
    lines: list[str] = []
    first = build_base(
        "tiny", workload=classification(), texts=texts(), cache=tmp_path, size=MICRO,
        on_progress=lines.append,
    )  # fmt: skip
    assert lines
    lines.clear()
    again = build_base(
        "tiny", workload=classification(), texts=texts()[::-1] * 2, cache=tmp_path, size=MICRO,
        on_progress=lines.append,
    )  # fmt: skip
    assert (again, lines) == (first, [])
    other = build_base(
        "tiny", workload=classification(), texts=texts(), cache=tmp_path, size=MICRO, seed=1
    )
    assert other.folder != first.folder
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == sorted(
        [first.folder.name, other.folder.name]
    )


def test_too_few_texts_are_refused(tmp_path: Path):
    """A base without texts to read is not built, and nothing is left behind."""
    with pytest.raises(DataError, match="different texts"):
        build_base("tiny", workload=classification(), texts=["a", "b"], cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_base_is_noticed(tmp_path: Path):
    """A changed file is found when the base is read with verification."""
    folder = tmp_path / "base"
    folder.mkdir()
    for path in micro_base().folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert load_base(folder, verify=True).digest == micro_base().digest
    with (folder / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(IntegrityError, match="as it was built"):
        load_base(folder, verify=True)


def test_folder_becomes_a_base(tmp_path: Path):
    """A Hugging Face folder of someone else's ends in the cache like any base, without surfaces."""
    base = build_base(str(micro_base().folder), workload=classification(), cache=tmp_path)
    assert base.surfaces == {}
    assert (base.folder / "model.safetensors").is_file()
    assert json.loads((base.folder / RECORD).read_text())["digest"] == base.digest


def test_missing_folder_and_unreachable_hub_say_what_to_do(tmp_path: Path):
    """A wrong name and a hub that may not be asked are two clear errors."""
    with pytest.raises(NotFoundError, match="smollm2"):
        build_base("./nowhere", workload=classification(), cache=tmp_path)
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE"):
        build_base("owner/model", workload=classification(), cache=tmp_path)
