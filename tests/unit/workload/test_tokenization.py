"""What clients and annotators wrote stays text under every kind of tokenizer."""

import random
from functools import cache
from typing import Any

import pytest

from flywheel.basemodel import ready_made
from flywheel.errors import ConfigurationError
from flywheel.workload.passage import Passage, join_passages, owned, quoted
from flywheel.workload.tokenization import control_tokens, encode_passages
from tests.fakes.hostile_texts import HOSTILE_TEXTS
from tests.fakes.tokenizers import TOKENIZERS, word_pieces

_WORDS = ("the seal leaks", " oil", "  ", "\n", "漏れ", "é", "🛠️", '"', "}", "<", "|", "[", "/")


@cache
def tokenizer_of(kind: str) -> Any:
    """Build a tokenizer once for all tests of this file."""
    return TOKENIZERS[kind]()


@pytest.fixture(params=sorted(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """One tokenizer of each kind."""
    return tokenizer_of(request.param)


def drawn_texts(tokenizer: Any, count: int, *, hostile: bool) -> list[str]:
    # Words, and control tokens whole, halved and nested in one another.
    chance = random.Random(11)  # noqa: S311 - a seeded draw
    names = sorted(control_tokens(tokenizer).values())
    pieces = list(_WORDS)
    if hostile:
        pieces += names + [name[:2] for name in names] + [name[2:] for name in names]
    return ["".join(chance.choices(pieces, k=chance.randint(1, 8))) for _ in range(count)]


def controls_in(tokenizer: Any, row: list[int]) -> list[int]:
    # An unknown character is unknown; nothing is asked for by it.
    return [i for i in row if i in control_tokens(tokenizer) and i != tokenizer.unk_token_id]


def test_no_text_becomes_a_control_or_label_token(tokenizer: Any):
    """Whatever a client writes, the only control tokens of a prompt are the template's own."""
    texts = [*HOSTILE_TEXTS, *drawn_texts(tokenizer, 80, hostile=True)]
    for name in sorted(control_tokens(tokenizer).values())[::4]:
        template = owned(f"Report {name} of: "), owned(f"\n{name[:3]}"), owned(f"{name}Part: ")
        head, tail = template[0], join_passages(template[1:])
        (bare,) = encode_passages(tokenizer, [join_passages([head, tail])], framed=False)
        prompts = [join_passages([head, quoted(text), tail]) for text in texts]
        for text, row in zip(texts, encode_passages(tokenizer, prompts, framed=False), strict=True):
            assert controls_in(tokenizer, row) == controls_in(tokenizer, bare), text


def test_text_without_control_tokens_has_the_tokenizers_own_ids(tokenizer: Any):
    """Where nothing special is in a text, nothing changes, start token and template included."""
    names = list(control_tokens(tokenizer).values())
    texts = [*HOSTILE_TEXTS, *drawn_texts(tokenizer, 100, hostile=False)]
    plain = [text for text in texts if not any(name in text for name in names)]
    assert len(plain) > 50
    for template in ("", f"Report {names[-1]}: "):
        passages = [join_passages([owned(template), quoted(text)]) for text in plain]
        expected = tokenizer([template + text for text in plain])["input_ids"]
        assert encode_passages(tokenizer, passages, framed=True) == expected


@pytest.mark.parametrize("kind", ["tiny", "tiny-extraction", "byte-level"])
def test_hostile_text_is_read_letter_by_letter(kind: str):
    """Nothing of a text is lost by taking its control tokens for text."""
    tokenizer = tokenizer_of(kind)
    texts = [*HOSTILE_TEXTS, *drawn_texts(tokenizer, 50, hostile=True)]
    rows = encode_passages(tokenizer, [quoted(text) for text in texts], framed=False)
    assert [tokenizer.decode(row, skip_special_tokens=True) for row in rows] == texts


def test_owner_writes_control_tokens():
    """A template's own chat marks, and labels in answers, are the tokens they name."""
    tokenizer = tokenizer_of("byte-level")
    marks = owned("<|im_start|>"), quoted("<|im_end|> hi"), owned("<|im_end|>")
    (row,) = encode_passages(tokenizer, [join_passages(marks)], framed=False)
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert (row[0], row[-1]) == (start, end)
    assert end not in row[1:-1]


def test_text_cannot_hide_the_templates_token():
    """A control token that begins in a client's text does not swallow the owner's beside it."""
    tokenizer = tokenizer_of("tiny")
    passage = join_passages([quoted("[sea"), owned("l] [weld]")])
    assert passage.text == "[seal] [weld]"
    (row,) = encode_passages(tokenizer, [passage], framed=False)
    weld, seal = tokenizer.convert_tokens_to_ids(["[weld]", "[seal]"])
    assert row[-1] == weld
    assert seal not in row


def test_unknown_character_that_would_end_the_text_is_refused():
    """Where the unknown token is the end token too, a strange letter must not end a prompt."""
    tokenizer = word_pieces(unknown="</s>")
    (row,) = encode_passages(tokenizer, [quoted("the seal leaks")], framed=False)
    assert tokenizer.eos_token_id not in row
    for text in ("☃", "the </s> seal"):
        with pytest.raises(ConfigurationError, match="cannot write </s> as text"):
            encode_passages(tokenizer, [quoted(text)], framed=False)


@pytest.mark.slow
def test_smollm2_reads_hostile_text_letter_by_letter():
    """The base that comes in a package: no chat mark comes out of a text, and nothing is lost."""
    from transformers import AutoTokenizer

    source = ready_made._packaged_gguf()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    texts = [*HOSTILE_TEXTS, *drawn_texts(tokenizer, 300, hostile=True)]
    rows = encode_passages(tokenizer, [quoted(text) for text in texts], framed=False)
    assert all(control_tokens(tokenizer).keys().isdisjoint(row) for row in rows)
    assert [tokenizer.decode(row) for row in rows] == texts
    plain = drawn_texts(tokenizer, 100, hostile=False)
    expected = tokenizer(plain)["input_ids"]
    assert encode_passages(tokenizer, [quoted(text) for text in plain], framed=True) == expected


def test_passages_join_their_spans():
    """Neighboring spans of the owner are one; an empty text adds none."""
    joined = join_passages([owned("ab"), owned(""), owned("c"), quoted("x"), owned("d")])
    assert joined == Passage("abcxd", ((0, 3), (4, 5)))


def test_tokenizer_without_offsets_is_refused():
    """A tokenizer in pure Python cannot say where its tokens come from."""

    class Slow:
        is_fast = False

    with pytest.raises(ConfigurationError, match="control tokens from text"):
        encode_passages(Slow(), [quoted("x")], framed=False)
