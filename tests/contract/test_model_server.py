"""The ModelServer port, on every adapter that this machine can start."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flywheel.errors import DataError, IntegrityError, NotFoundError, RefusedError
from flywheel.ports.model_server import ModelServer, Shot
from flywheel.serve.local_server import LocalModelServer
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.workload.model import Workload
from tests.fakes.micro_base import classification, codec, labeled, micro_base


@pytest.fixture
def adapters(micro_adapters: dict[str, Path]) -> dict[str, Path]:
    """An adapter of the micro base, and another one with weaker weights."""
    return micro_adapters


_VLLM = pytest.param(
    "vllm", marks=[pytest.mark.services("vllm"), pytest.mark.timeout(300, func_only=True)]
)


@pytest.fixture(params=["local", _VLLM])
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    """A server of the micro base with no adapter loaded."""
    if request.param == "local":
        yield LocalModelServer(micro_base().folder)
        return
    vllm = request.getfixturevalue("vllm")
    server = VllmModelServer(vllm.base, vllm.url, vllm.token)
    yield server
    for release in server.releases()[1:]:
        server.unload(release)
    server.close()


def outputs(server: ModelServer, release: str, inputs: list[str]) -> list[object]:
    return [answer.output for answer in server.answer(release, codec(), inputs)]


def test_base_answers_before_any_adapter(server: ModelServer):
    """A server answers as ``base`` from the start, with a label and a probability."""
    assert server.releases() == ("base",)
    (answer,) = server.answer("base", codec(), ["the seal leaks"])
    assert answer.output in codec().workload.taxonomy.names
    assert 0 < answer.confidence <= 1
    assert 0 <= answer.margin <= answer.confidence
    assert answer.error is None
    assert answer.seconds > 0


def test_trained_adapter_answers_what_it_learnt(server: ModelServer, adapters: dict[str, Path]):
    """An adapter answers its training rows right, and is surer of them than the base."""
    server.load("parts-0", adapters["parts-0"])
    texts = [text for text, _ in labeled(30)]
    truth = [name for _, name in labeled(30)]
    assert outputs(server, "parts-0", texts) == truth
    sure = [answer.confidence for answer in server.answer("parts-0", codec(), texts)]
    before = [answer.confidence for answer in server.answer("base", codec(), texts)]
    assert all(now > then for now, then in zip(sure, before, strict=True))
    ahead = [answer.margin for answer in server.answer("parts-0", codec(), texts)]
    # With a token per label the others share what the answer left over.
    for margin, chance in zip(ahead, sure, strict=True):
        assert 2 * chance - 1 - 1e-6 <= margin <= chance


def test_several_adapters_do_not_disturb_each_other(server: ModelServer, adapters: dict[str, Path]):
    """Answers of a release stay as they were when others are loaded, used and unloaded."""
    texts = [text for text, _ in labeled(6)]
    before = server.answer("base", codec(), texts)
    server.load("parts-0", adapters["parts-0"])
    first = server.answer("parts-0", codec(), texts)
    server.load("parts-1", adapters["parts-1"])
    assert server.releases() == ("base", "parts-0", "parts-1")
    second = server.answer("parts-1", codec(), texts)
    assert [a.confidence for a in second] != [a.confidence for a in first]
    server.unload("parts-1")
    assert [a.confidence for a in server.answer("parts-0", codec(), texts)] == [
        a.confidence for a in first
    ]
    assert [a.confidence for a in server.answer("base", codec(), texts)] == [
        a.confidence for a in before
    ]


def test_loading_the_same_content_again_is_no_error(server: ModelServer, adapters: dict[str, Path]):
    """The same name with the same content is left alone."""
    server.load("parts-0", adapters["parts-0"])
    server.load("parts-0", adapters["parts-0"])
    assert server.releases() == ("base", "parts-0")


def test_name_with_other_content_is_refused(server: ModelServer, adapters: dict[str, Path]):
    """A release name is never reused."""
    server.load("parts-0", adapters["parts-0"])
    with pytest.raises(RefusedError, match="other content"):
        server.load("parts-0", adapters["parts-1"])
    with pytest.raises(RefusedError, match="base"):
        server.load("base", adapters["parts-1"])


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_flipped_byte_is_found(
    server: ModelServer, adapters: dict[str, Path], tmp_path: Path, name: str
):
    """One changed byte stops the load, and nothing changes."""
    folder = Path(shutil.copytree(adapters["parts-0"], tmp_path / "adapter"))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="not the file"):
        server.load("parts-0", folder)
    assert server.releases() == ("base",)


def test_extra_file_is_found(server: ModelServer, adapters: dict[str, Path], tmp_path: Path):
    """A file that the manifest does not list stops the load."""
    folder = Path(shutil.copytree(adapters["parts-0"], tmp_path / "adapter"))
    (folder / "training_args.bin").write_bytes(b"pickle")
    with pytest.raises(IntegrityError, match="training_args"):
        server.load("parts-0", folder)


def test_unknown_release_is_named(server: ModelServer):
    """A release that is not loaded cannot answer, and may be forgotten without an error."""
    server.unload("parts-9")
    with pytest.raises(NotFoundError, match="parts-9"):
        server.answer("parts-9", codec(), ["the seal leaks"])


def test_too_long_input_names_the_limit(server: ModelServer):
    """An input beyond the context is a data error that says how long it may be."""
    with pytest.raises(DataError, match="256 tokens"):
        server.answer("base", codec(), ["leak " * 400])


def test_empty_and_odd_inputs_are_answered(server: ModelServer):
    """No inputs give no answers; an empty text, braces and other scripts get one each."""
    assert server.answer("base", codec(), []) == []
    answers = server.answer("base", codec(), ["", "{input} {0} %s", "漏油 🛢️", "<|end|>", "[seal]"])
    assert [answer.error for answer in answers] == [None] * 5


def test_batch_answers_as_each_alone(server: ModelServer):
    """An answer does not depend on what else is in its batch, nor on the order."""
    texts = [text + " and again" * (index % 4) for index, (text, _) in enumerate(labeled(12))]
    together = server.answer("base", codec(), texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = server.answer("base", codec(), [text])
        assert alone.text == answer.text
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-4)


def test_shots_are_read(server: ModelServer):
    """Worked examples change the prompt, and their shared cache changes no answer."""
    shots = [Shot(text, name) for text, name in labeled(3)]
    texts = [text for text, _ in labeled(8)]
    batch = server.answer("base", codec(), texts, shots=shots)
    (alone,) = server.answer("base", codec(), texts[:1], shots=shots)
    assert batch[0].prompt_tokens > server.answer("base", codec(), texts[:1])[0].prompt_tokens
    assert batch[0].prompt_tokens == alone.prompt_tokens
    assert batch[0].confidence == pytest.approx(alone.confidence, abs=1e-4)


def test_threads_do_not_mix_releases(server: ModelServer, adapters: dict[str, Path]):
    """Answers asked for at once from several threads are those asked for one after another."""
    for release, folder in adapters.items():
        server.load(release, folder)
    texts = [text for text, _ in labeled(9)]
    releases = [*server.releases()] * 3

    def confidences(release: str) -> list[float]:
        return [answer.confidence for answer in server.answer(release, codec(), texts)]

    expected = [confidences(release) for release in releases]
    with ThreadPoolExecutor(3) as pool:
        for found, alone in zip(pool.map(confidences, releases), expected, strict=True):
            assert found == pytest.approx(alone, abs=1e-5)


def test_label_added_later_can_be_answered(server: ModelServer):
    """A label that came after the base was built speaks through a spare token."""
    workload = classification()
    labels = [*workload.taxonomy.model_dump()["labels"], {"id": "rust", "name": "rust"}]
    raw = workload.model_dump(mode="json", by_alias=True)
    grown = Workload.model_validate({**raw, "taxonomy": {"version": 2, "labels": labels}})
    base = micro_base()
    late = base.codec(grown)
    assert late.surfaces["rust"] == base.reserved[0]
    answers = server.answer("base", late, [text for text, _ in labeled(9)])
    assert {answer.completion_tokens for answer in answers} == {2}
    assert late.decode(base.reserved[0]) == "rust"
