"""Foldings: for each question of whether two texts are one, the form in which they are compared.

| Question | Function | Puts aside |
| --- | --- | --- |
| Do two names mean one person? | `person_key` | case, width, blanks, whatever is not drawn |
| Does an id name this person? | `subject_key` | case, width, blanks at the ends |
| Would people confuse two labels? | `twin_key` | case, width, blanks, the kind of apostrophe |
| Which label is this spelling of? | `label_key` | case, width, blanks, unseen characters |
| Are two texts the same text? | `text_form` | case, width, punctuation, white space |

They differ on purpose. None of them may change: approvals, erasures, taxonomies and hashes of
texts that were stored earlier rest on their results.
"""

import unicodedata

__all__ = ["UNSEEN", "label_key", "person_key", "subject_key", "text_form", "twin_key"]

# Format characters (zero-width space and joiner, byte-order mark, direction marks), controls,
# private and unassigned ones, separators of lines and paragraphs.
UNSEEN = frozenset({"Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp"})
# Letters and marks that are drawn as nothing: joiner, fillers, variation selectors.
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
_SEPARATORS = "PZC"  # punctuation, white space, control; marks and symbols carry meaning


class _Separators(dict[int, str]):
    # A translation table that is filled as characters are met.
    def __missing__(self, code: int) -> str:
        character = chr(code)
        replacement = " " if unicodedata.category(character)[0] in _SEPARATORS else character
        self[code] = replacement
        return replacement


_TABLE = _Separators()


def person_key(name: str) -> str:
    """Return what two spellings of a person's name share; empty where nothing of it is drawn."""
    visible = "".join(c for c in _fold(name) if not _is_undrawn(c))
    return " ".join(visible.split())


def subject_key(identity: str) -> str:
    """Return what two spellings of the id of the person concerned share."""
    return _fold(identity).strip()


def twin_key(name: str) -> str:
    """Return what two labels share that people would take for one."""
    return " ".join(_fold(name).replace("\u2019", "'").split())


def label_key(name: str) -> str:
    """Return a key that two spellings of one label share: case, blanks and invisible characters.

    Compatibility forms (full-width letters, ligatures) fold too; the words themselves do not.
    """
    visible = "".join(
        c for c in _fold(name) if c.isspace() or unicodedata.category(c) not in UNSEEN
    )
    return " ".join(visible.split())


def text_form(text: str) -> str:
    """Return the form in which near duplicates are compared; punctuation alone stays itself."""
    folded = _fold(text)
    return " ".join(folded.translate(_TABLE).split()) or folded.strip()


def _fold(text: str) -> str:
    # Width, ligatures and other compatibility forms first, then case.
    return unicodedata.normalize("NFKC", text).casefold()


def _is_undrawn(character: str) -> bool:
    unprinted = unicodedata.category(character) in {"Cc", "Cf"} and not character.isspace()
    return unprinted or character in _BLANK_LETTERS
