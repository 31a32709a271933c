"""Start, stop, inspect and supervise local services."""
