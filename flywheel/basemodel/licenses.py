"""`stated_license`: the license that a model states about itself."""

from pathlib import Path

import yaml

__all__ = ["stated_license"]


def stated_license(name: str, revision: str | None) -> str | None:
    """Return what the model card of a folder or a hub's model says; None where it says nothing.

    Args:
        name: a folder, or a hub name.
        revision: of the hub's model; None: it is a folder.
    """
    if revision is None:
        return _in_card(Path(name) / "README.md")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        card = hf_hub_download(name, "README.md", revision=revision)
    except (EntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None  # not every model has a card; `flywheel base show` says that none is stated
    return _in_card(Path(card))


def _in_card(card: Path) -> str | None:
    # The head of a card is YAML between two lines of dashes.
    try:
        head = card.read_text(encoding="utf-8").split("---", 2)[1]
        facts = yaml.safe_load(head)
    except (OSError, IndexError, ValueError, yaml.YAMLError):
        return None
    name_of_license = facts.get("license") if isinstance(facts, dict) else None
    return None if name_of_license is None else str(name_of_license)
