"""The normal form in which two texts count as the same, and the hash that stands for it."""

import hashlib

from flywheel.io.folding import text_form

__all__ = ["input_hash", "normalize"]


def normalize(text: str) -> str:
    """Fold case, width, punctuation and white space; a text of punctuation alone stays itself."""
    return text_form(text)


def input_hash(text: str, key: str = "") -> str:
    """Return the keyed hash of a text's normal form, 32 hexadecimal digits."""
    secret = hashlib.sha256(key.encode()).digest() if key else b""
    return hashlib.blake2b(normalize(text).encode(), key=secret, digest_size=16).hexdigest()
