"""The normal form in which two texts count as the same, and the hash that stands for it."""

import hashlib
import unicodedata

__all__ = ["input_hash", "normalise"]

_SEPARATORS = "PZC"  # punctuation, white space, control; marks and symbols carry meaning


class _Separators(dict[int, str]):
    # A translation table that is filled as characters are met.
    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = " " if unicodedata.category(character)[0] in _SEPARATORS else character
        self[code] = kept
        return kept


_TABLE = _Separators()


def normalise(text: str) -> str:
    """Fold case, width, punctuation and white space; a text of punctuation alone stays itself."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_TABLE).split()) or folded.strip()


def input_hash(text: str, key: str = "") -> str:
    """Return the keyed hash of a text's normal form, 32 hexadecimal digits."""
    secret = hashlib.sha256(key.encode()).digest() if key else b""
    return hashlib.blake2b(normalise(text).encode(), key=secret, digest_size=16).hexdigest()
