"""Rooms of the house: commands and Dagster ask use cases, and look into no store themselves."""

import ast
from pathlib import Path

import pytest

ROOMS = ("flywheel/cli", "flywheel/desk", "flywheel/orchestration", "assets", "sensors")
STORES = {
    "bases", "label_studio", "lake", "launcher", "log", "queue", "registry", "server", "state",
}  # fmt: skip
# The people's side of the local queue, which a command answers in this terminal, and who is signed
# in to the desk, which nothing else reads.
EXCEPTIONS = {
    ("flywheel/cli/review.py", "queue"),
    ("flywheel/desk/begun_sign_ins.py", "state"),
    ("flywheel/desk/sessions.py", "state"),
    ("flywheel/desk/sign_in_limit.py", "state"),
}


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


# Arguments of other libraries' functions, and what demo and loop print at their end.
KEYWORDS = {
    "cli/program.py:run_program",
    "eventlog/kafka_connection.py:options",
    "review/label_studio/client.py:request",
    "review/sampling/candidate_query.py:parameters",
    "state/database.py:_postgres_engine",
    "train/completion_trainer.py:compute_loss",
    "train/data_parallel.py:compute_loss",
    "train/preference.py:compute_loss",
    "train/preference.py:keep_learnt",
    "train/preference.py:load_learnt",
    "train/supervised.py:_trial_arguments",
    "train/supervised.py:common_arguments",
}


def _annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    nodes = [one.annotation for one in arguments] + [function.returns]
    return "\n".join(ast.unparse(node) for node in nodes if node is not None)


def test_no_signature_hides_facts_in_a_plain_dictionary(repository: Path):
    """What one function hands another has a type; a document or a row says that it is one."""
    package = repository / "flywheel"
    functions = {
        f"{path.relative_to(package).as_posix()}:{node.name}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "dict[str, Any]" in _annotations(node)
    }
    assert functions == KEYWORDS


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
