"""`clear_name`: names of labels that people can tell apart."""

import unicodedata

from flywheel.io.folding import twin_key

__all__ = ["RESERVED_NAMES", "clear_name", "normalized"]

# What the form itself offers beside the labels (`review.label_studio_format`).
RESERVED_NAMES = ("can't tell", "new category")


def clear_name(name: str) -> str:
    """Return a name in Unicode's composed form (NFC).

    Raises:
        ValueError: a character cannot be seen or turns the direction of the text, or the form uses
            the name for itself.
    """
    name = normalized(name)
    hidden = [character for character in name if not _is_visible(character)]
    if hidden:
        characters = ", ".join(
            f"U+{ord(character):04X} {_called(character)}" for character in hidden
        )
        plain = "".join(character if _is_visible(character) else "\u2420" for character in name)
        msg = f"holds characters that cannot be seen: {characters} (at \u2420 in {plain!r}); remove them"
        raise ValueError(msg)
    if twin_key(name) in RESERVED_NAMES:
        msg = f"{name!r} is an answer that every form offers beside the labels; choose another name"
        raise ValueError(msg)
    return name


def normalized(name: str) -> str:
    """Return a text in Unicode's composed form, in which an accent is part of its letter."""
    return unicodedata.normalize("NFC", name)


def _is_visible(character: str) -> bool:
    # A joiner holds an emoji of several people or a letter of Indic scripts together.
    return character.isprintable() or character == "\u200d"


def _called(character: str) -> str:
    return unicodedata.name(character, "a control character").lower()
