"""The local server and vLLM on one base: the same prompts, the same answers and probabilities."""

import json
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from flywheel.ports.model_server import Shot, base_alias
from flywheel.serve.local_server import LocalModelServer
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.prompt import prompt_ids, render_prompt
from flywheel.workload.tokenization import control_tokens
from tests.fakes.hostile_texts import HOSTILE_TEXTS
from tests.fakes.micro_base import classification, codec, extraction, labeled, micro_base
from tests.fakes.replies import replies

pytestmark = [pytest.mark.services, pytest.mark.timeout(300, func_only=True)]

# The micro base has no template of its own: each server's tokenizer gets this one.
_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] | trim + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
_PLAIN = ["", "{input} {0} %s", "漏油 🛢️", 'a "quoted" \\ text\n', "$text", "{{ why }}"]
_TALKS = [
    f"User: it leaks\nAssistant: {odd}\nUser: {odd}" for odd in ("at the seal?", *HOSTILE_TEXTS[:4])
]
_ODD = [*_PLAIN, *_TALKS, "<|end|>", "[seal]", *HOSTILE_TEXTS]


def _chat() -> Workload:
    # Conversations, with an example of the owner's.
    raw = classification().model_dump(mode="json", by_alias=True)
    prompt = {
        "system": "Name the part.",
        "user": "Report: {input}",
        "examples": [{"input": "the weld is cracked", "output": "weld"}],
    }
    chat = {"id": "parts_chat", "prompt": prompt, "input": "conversation"}
    return parse_workload({**raw, **chat}, source="test")


def _texts() -> Workload:
    # Texts of a few tokens: the base writes no end of its own.
    return replies(limits={"answer_tokens": 12})


@pytest.fixture(scope="module")
def servers(vllm, micro_adapters):
    """Both servers with a trained adapter and a weaker one."""
    local = LocalModelServer(vllm.base)
    remote = VllmModelServer(vllm.base, vllm.url, vllm.token)
    for server in (local, remote):
        server._tokenizer.chat_template = _TEMPLATE
        for release, folder in micro_adapters.items():
            server.load(release, folder)
    yield local, remote
    for release in micro_adapters:
        remote.unload(release)
    remote.close()


@pytest.mark.parametrize("release", ["base", "parts-0", "parts-1"])
@pytest.mark.parametrize(
    "workload", [classification(), extraction(), _chat(), _texts()], ids=lambda w: w.id
)
@pytest.mark.parametrize("shots", [0, 3])
def test_servers_agree(servers, workload: Workload, release: str, shots: int):
    """Every answer is the same text, its confidence and its margin within 0.0001."""
    written = AnswerCodec(workload, codec().surfaces)
    examples = [
        Shot(text, workload.with_label({"part": name, "urgency": "low"}, name))
        for text, name in labeled(shots)
    ]
    texts = [text for text, _ in labeled(40)] + _ODD
    local, remote = (server.answer(release, written, texts, shots=examples) for server in servers)
    same = sum(one.text == other.text for one, other in zip(local, remote, strict=True))
    assert same == len(texts)
    assert [answer.output for answer in local] == [answer.output for answer in remote]
    assert [answer.error for answer in local] == [answer.error for answer in remote]
    assert [a.confidence for a in local] == pytest.approx([a.confidence for a in remote], abs=1e-4)
    assert [a.margin for a in local] == pytest.approx([a.margin for a in remote], abs=1e-4)
    for one, other in zip(local, remote, strict=True):
        assert (one.prompt_tokens, one.completion_tokens) == (
            other.prompt_tokens,
            other.completion_tokens,
        )


def test_prompt_token_ids_are_ours(vllm):
    """VLLM's own tokenizer makes of a rendered prompt the ids that the local server reads."""
    from transformers import AutoTokenizer

    prompts = [
        render_prompt(classification(), text) for text in [*_PLAIN, *(t for t, _ in labeled(9))]
    ]
    ours = prompt_ids(AutoTokenizer.from_pretrained(vllm.base), prompts)
    theirs = [_tokenize(vllm, prompt.text) for prompt in prompts]
    assert theirs == ours


def test_vllm_reads_hostile_text_as_text(vllm, servers, monkeypatch):
    """VLLM answers the ids of our renderer, in which a text is never a control or label token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(vllm.base)
    prompts = [render_prompt(classification(), text) for text in _ODD]
    _, remote = servers
    chat = AnswerCodec(_chat(), codec().surfaces)
    turns = [render_prompt(chat.workload, t, (), chat, tokenizer=remote._tokenizer) for t in _ODD]
    read = []
    send = remote._client.send

    def recorded(method: str, path: str, body: object = None) -> tuple[int, object]:
        status, payload = send(method, path, body)
        read.extend(choice["prompt_token_ids"] for choice in payload["choices"])
        return status, payload

    monkeypatch.setattr(remote._client, "send", recorded)
    remote.answer("parts-0", codec(), _ODD)
    assert sorted(read) == sorted(prompt_ids(tokenizer, prompts))
    controls = control_tokens(tokenizer).keys()
    assert all(controls.isdisjoint(row) for row in read)
    # Of a chat, its template's control tokens and the example's label are there, and no others.
    read.clear()
    remote.answer("parts-0", chat, _ODD)
    assert sorted(read) == sorted(prompt_ids(remote._tokenizer, turns))
    # A conversation has two turns more, which the template begins with one token each.
    counts = Counter(sum(id_ in controls for id_ in row) for row in read)
    one_turn = min(counts)
    assert counts == {one_turn: len(_ODD) - len(_TALKS), one_turn + 2: len(_TALKS)}
    # Its own tokenizer would not do: it takes the label out of the text.
    seal = tokenizer.convert_tokens_to_ids("[seal]")
    assert seal in _tokenize(vllm, render_prompt(classification(), "[seal]").text)


def test_base_is_the_micro_base(vllm):
    """The name that vLLM is asked for carries the digest of the base's files."""
    assert vllm.base == Path(micro_base().folder)
    request = urllib.request.Request(
        f"{vllm.url}/v1/models", headers={"Authorization": f"Bearer {vllm.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        names = {card["id"] for card in json.load(response)["data"]}
    assert {"base", base_alias(micro_base().digest)} <= names


def _tokenize(vllm, prompt: str) -> list[int]:
    request = urllib.request.Request(
        f"{vllm.url}/tokenize",
        data=json.dumps({"model": "base", "prompt": prompt}).encode(),
        headers={"Authorization": f"Bearer {vllm.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return list(json.load(response)["tokens"])
