"""`keyed_hash`: a digest that only who holds the key can compute."""

import hashlib
import hmac

__all__ = ["keyed_hash"]


def keyed_hash(purpose: str, text: str, key: str) -> str:
    """Return HMAC-SHA256 of a text, 64 hexadecimal digits; two purposes never share a digest."""
    message = f"{purpose}\x1f{text}".encode("utf-8", "replace")
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
