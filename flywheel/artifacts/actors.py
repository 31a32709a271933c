"""`SYSTEM`: the actor of everything that no person asked for, in cycles and in the audit."""

__all__ = ["SYSTEM"]

SYSTEM = "system"
