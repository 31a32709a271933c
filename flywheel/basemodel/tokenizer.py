"""The tiny base's tokenizer: byte-level BPE over the workload's own texts.

Answer tokens are added whole and are not special: they survive decoding, and constraint libraries
see their text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["END", "PAD", "train_tokenizer"]

END = "<|end|>"
PAD = "<|pad|>"
_PLAIN_CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def train_tokenizer(
    texts: Sequence[str], words: Sequence[str], answers: Sequence[str], *, vocabulary: int
) -> Any:
    """Train a tokenizer and return it in transformers' form.

    Args:
        texts: unlabeled inputs as they come in prompts; their words get tokens first.
        words: other words of the language, most frequent first, for what is left of the
            vocabulary: new words in later texts then fall apart less.
        answers: texts that become one token each.
        vocabulary: number of tokens besides ``answers``.
    """
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Words of the texts count tenfold, so that a rare one still comes before a foreign one.
    tokenizer.train_from_iterator((t for part in ([*texts] * 10, words) for t in part), trainer)
    tokenizer.add_tokens([AddedToken(a, normalized=False, special=False) for a in answers])
    build: Any = PreTrainedTokenizerFast
    fast = build(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    fast.chat_template = _PLAIN_CHAT
    return fast


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write the tokenizer's files into ``folder``."""
    tokenizer.save_pretrained(folder)
