"""Rooms of the house: commands and Dagster ask use cases, and look into no store themselves."""

import ast
from pathlib import Path

import pytest

ROOMS = ("flywheel/cli", "flywheel/desk", "flywheel/orchestration", "assets", "sensors")
STORES = {
    "bases", "label_studio", "lake", "launcher", "log", "queue", "registry", "server", "state",
}  # fmt: skip
# The people's side of the local queue, which a command answers in this terminal.
EXCEPTIONS = {("flywheel/cli/review.py", "queue")}


def _store_accesses(path: Path) -> set[str]:
    # `platform.STORE`, `open_platform(...).STORE`, and the same of any name that ends in platform.
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute) or node.attr not in STORES:
            continue
        owner = node.value.func if isinstance(node.value, ast.Call) else node.value
        name = getattr(owner, "id", None) or getattr(owner, "attr", "")
        if str(name).endswith("platform"):
            names.add(node.attr)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_above_the_use_cases_looks_into_a_store(repository: Path, room: str):
    """A rule that two rooms read from a store for themselves is written twice."""
    accesses = {
        (str(path.relative_to(repository)), store)
        for path in sorted((repository / room).rglob("*.py"))
        for store in _store_accesses(path)
    }
    assert accesses - EXCEPTIONS == set()


def test_every_exception_is_needed(repository: Path):
    """What is not looked into any more is not excepted."""
    assert all(store in _store_accesses(repository / path) for path, store in EXCEPTIONS)
