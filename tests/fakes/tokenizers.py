"""One small tokenizer of each kind that base models have, trained on a few sentences."""

import json
from collections.abc import Callable
from typing import Any

from flywheel.basemodel.surfaces import answer_segments, label_surfaces, reserved_surfaces
from flywheel.basemodel.tokenizer import train_tokenizer
from flywheel.workload.model import Workload
from tests.fakes.micro_base import classification, extraction, texts

# ruff: noqa: S106 - these tokens are of a vocabulary
__all__ = ["TOKENIZERS", "word_pieces"]

_SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
_SENTENCES = [*texts(), "end s im start", 'a "quoted" {"part": "seal"}', "漏れ Łódź café"] * 5


def tiny(workload: Workload) -> Any:
    """Return the tokenizer of a tiny base: a token per label, none of them special."""
    labels = label_surfaces(workload)
    answers = [*labels.values(), *answer_segments(workload), *reserved_surfaces(4, labels)]
    return train_tokenizer(_SENTENCES, (), answers, vocabulary=500)


def byte_level() -> Any:
    """Return one of GPT-2's kind, with whole words taken from the vocabulary as Llama 3 does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE(ignore_merges=True))
    # Nothing is cut at punctuation: the vocabulary itself holds the control tokens' texts.
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator(
        _SENTENCES,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=_SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    raw.add_tokens(["  ", "<table>"])
    return _wrapped(raw)


def byte_fallback() -> Any:
    """Return one of Llama 2's kind: SentencePiece's BPE, a start token, blanks as marks."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    raw.train_from_iterator(
        (word for sentence in _SENTENCES for word in sentence.split()),
        trainers.BpeTrainer(
            vocab_size=600, special_tokens=[*_SPECIAL, *bytes_], show_progress=False
        ),
    )
    described = json.loads(raw.to_str())
    described["added_tokens"] = [t for t in described["added_tokens"] if t["content"] in _SPECIAL]
    # The bytes stay ordinary entries of the vocabulary.
    raw = Tokenizer.from_str(json.dumps(described))
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", raw.token_to_id("<s>"))]
    )
    return _wrapped(raw)


def unigram() -> Any:
    """Return one of T5's kind: the vocabulary holds the control tokens as pieces of their own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    raw.train_from_iterator(
        _SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=200,
            special_tokens=_SPECIAL,
            unk_token="<unk>",
            initial_alphabet=list("<>|/_[]"),
            show_progress=False,
        ),
    )
    return _wrapped(raw)


def word_pieces(unknown: str = "<unk>") -> Any:
    """Return one of BERT's kind: unknown characters become the unknown token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    raw = Tokenizer(models.WordPiece(unk_token=unknown))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.train_from_iterator(
        _SENTENCES,
        trainers.WordPieceTrainer(
            vocab_size=300,
            special_tokens=_SPECIAL,
            initial_alphabet=list("<>|/_[]"),
            show_progress=False,
        ),
    )
    return _wrapped(raw, unknown)


def _wrapped(raw: Any, unknown: str = "<unk>") -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        unk_token=unknown,
        clean_up_tokenization_spaces=False,
    )


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "tiny": lambda: tiny(classification()),
    "tiny-extraction": lambda: tiny(extraction()),
    "byte-level": byte_level,
    "byte-fallback": byte_fallback,
    "unigram": unigram,
    "word-pieces": word_pieces,
}
