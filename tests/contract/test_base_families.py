"""Each family of bases goes through import, QLoRA, export and the local server."""

import json
import math
from pathlib import Path

import pytest

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.basemodel.chat_check import check_chat
from flywheel.basemodel.ready_made import import_model
from flywheel.errors import ConfigurationError
from flywheel.ports.train_launcher import TrainSpec
from flywheel.serve.local_server import LocalModelServer
from flywheel.train.recipe import train
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.prompt import input_ids
from tests.fakes.families import FAMILIES, save_family
from tests.fakes.micro_base import classification, labeled, write_snapshot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300, func_only=True),
    # Training runs in a process of its own elsewhere; here its libraries speak to each other.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

_TEXTS = [
    "the seal leaks",
    "Machine 4: the paint peels off, and the weld is cracked again",
    "",
    "Assistant: Hello\nUser: it leaks\nAssistant: Where?\nUser: at the seal",
]
_DPO = {"llama", "gemma3"}


def chat() -> Workload:
    """Return a chat over the three parts, asked about conversations."""
    raw = classification().model_dump(mode="json", by_alias=True)
    prompt = {"system": "Name the part.", "user": "Report: {input}"}
    return parse_workload({**raw, "prompt": prompt, "input": "conversation"}, source="test")


def spec_of(base, folder: Path, *, prefers: bool) -> TrainSpec:
    """Return a training of two steps, and one of pairs where it prefers."""
    workload = chat()
    messages = [{"role": "system", "content": "Name the part."}]
    pairs = [
        {
            "prompt": [*messages, {"role": "user", "content": f"Report: {text}"}],
            "chosen": [{"role": "assistant", "content": name}],
            "rejected": [
                {"role": "assistant", "content": "weld" if name != "weld" else "seal paint"}
            ],
        }
        for text, name in labeled(4)
    ]
    rows = [{"inference_id": text, "input": text, "output": name} for text, name in labeled(8)]
    changes = {"epochs": 1, "batch_size": 4, "rank": 8, "learning_rate": 1e-2}
    if prefers:
        preference = {"minimum_pairs": 4, "epochs": 1, "batch_size": 4, "learning_rate": 1e-3}
        changes["preference"] = preference
    recipe = type(workload.training).model_validate(workload.training.model_dump() | changes)
    return TrainSpec(
        release="parts-1",
        workload=workload,
        cycle="2026Q1-1",
        attempt=1,
        base_folder=base.folder,
        base_digest=base.digest,
        surfaces=base.codec(workload).surfaces,
        dataset_folder=folder,
        dataset_hash=write_snapshot(folder, rows, pairs),
        recipe=recipe,
        seed=0,
    )


def plainly(server, release, codec, text):
    """Answer with whole passes of the model's own forward: no cache, no batch, no shared head."""
    import torch

    mask, end = server._mask(codec), server._tokenizer.eos_token_id
    (row,) = input_ids(server._tokenizer, codec, [text])
    node, tokens, total = mask.root, [], 0.0
    with server._active(release) as model:
        while True:
            logits = model(input_ids=torch.tensor([[*row, *tokens]]), use_cache=False).logits[0, -1]
            chances = torch.log_softmax(logits[torch.from_numpy(node.allowed)].double(), dim=0)
            total += float(chances.max())
            token = int(node.allowed[int(chances.argmax())])
            if token == end:
                return server._tokenizer.decode(tokens), math.exp(total)
            tokens.append(token)
            node = mask.after(node, token)


@pytest.mark.parametrize("name", FAMILIES)
def test_family_is_trained_exported_and_served(tmp_path, name):
    """Answers and confidences of the server are those of the family's own forward."""
    base = import_model(str(save_family(name, tmp_path / name)), tmp_path / "cache")
    workload = chat()
    check_chat(workload, base)
    spec = spec_of(base, tmp_path / "rows", prefers=name in _DPO)
    result = train(spec, tmp_path / "out")
    adapter = tmp_path / "out" / result.adapter
    assert verify_adapter(adapter, base_digest=base.digest) == result.manifest_digest
    assert math.isfinite(result.metrics["loss"])
    codec = AnswerCodec(workload, spec.surfaces)
    server = LocalModelServer(base.folder)
    server.load("parts-1", adapter)
    for release in ("base", "parts-1"):
        answers = server.answer(release, codec, _TEXTS)
        for text, answer in zip(_TEXTS, answers, strict=True):
            written, confidence = plainly(server, release, codec, text)
            assert (answer.text, answer.error) == (written, None)
            assert answer.confidence == pytest.approx(confidence, abs=1e-4)
    before, after = (server.answer(release, codec, _TEXTS) for release in ("base", "parts-1"))
    assert [a.confidence for a in before] != [a.confidence for a in after]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"num_experts": 8}, "num_experts"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config"),
        ({"auto_map": {"AutoConfig": "x.X"}}, "auto_map"),
    ],
)
def test_what_a_family_cannot_do_is_refused_by_its_field(tmp_path, changes, field):
    """Before a weight is read: the folder has none."""
    source = save_family("smollm", tmp_path / "m")
    (source / "model.safetensors").unlink()
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ConfigurationError, match=field):
        import_model(str(source), tmp_path / "cache")


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"model_type": "gpt2", "vocab_size": 64}, "hidden_size, num_hidden_layers, max_position"),
        (
            {"model_type": "phi", "hidden_size": 64, "vocab_size": 64},
            "architectures: PhiForCausalLM",
        ),
        ({"model_type": "gemma3", "text_config": {"vocab_size": 64}}, "text_config"),
        ({"model_type": "t5"}, "is_encoder_decoder"),
        ({"model_type": "unknown"}, "not a causal language model"),
    ],
)
def test_another_architecture_is_refused(tmp_path, config, field):
    """Phi-2 has a bias in its head, Gemma 3 may read images, GPT-2 keeps its body elsewhere."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=field):
        import_model(str(tmp_path), tmp_path / "cache")
