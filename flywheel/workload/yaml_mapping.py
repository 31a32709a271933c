"""`read_mapping`: a YAML file of keys and values, as plain data."""

import yaml

from flywheel.errors import ConfigurationError
from flywheel.io.records import JsonObject

__all__ = ["read_mapping"]

_MOST_LEVELS = 100


def read_mapping(content: bytes, source: str, *, next_step: str) -> JsonObject:
    """Parse a file that holds a mapping.

    Args:
        content: of the file.
        source: names it in errors.
        next_step: where a file comes from that has keys.

    Raises:
        ConfigurationError: it is not YAML, or holds something else.
    """
    try:
        text = content.decode("utf-8")
        _refuse_deep(text)
        raw = yaml.load(text, Loader=yaml.CSafeLoader)
    # ValueError: no UTF-8, or a date that YAML reads and the calendar does not know.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{source} is not readable YAML: {error}", next_step="correct the file"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigurationError(
            f"{source} holds no mapping of keys to values.", next_step=next_step
        )
    return raw


def _refuse_deep(text: str) -> None:
    # The fast loader calls itself for each level, in C: deep enough, it ends the process.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_LEVELS:
            msg = f"it is nested deeper than {_MOST_LEVELS} levels"
            raise ValueError(msg)
