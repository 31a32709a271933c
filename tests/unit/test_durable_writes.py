"""One module writes files: no other renames, creates exclusively, syncs, or writes over a file."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("flywheel", "assets", "sensors", "demo", "loop")
WRITER = "flywheel/io/atomic.py"
# Modules with a form of their own, and why it is one.
ALLOWED = {
    # Appends whole lines to a growing file: a reader drops a half one.
    "flywheel/train/reporting.py",
    # Replaces nodes of a parsed statement, and writes no file.
    "flywheel/lake/spark/dialect.py",
    # Tells the kernel something, and writes no file.
    "flywheel/orchestration/fork_server.py",
}
OS = {"replace", "rename", "renames", "fsync"}
TEMPORARY = {"NamedTemporaryFile", "mkstemp"}


def offences(tree):
    """Return the calls in a module that write a file in a way of their own."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
        # Path.replace has one argument; those of str, datetime and dataclasses have others.
        alone = len(node.args) == 1 and not node.keywords and owner
        if (
            (owner == "os" and name in OS)
            or (owner == "os" and name == "open" and "O_CREAT" in ast.unparse(node))
            or name in TEMPORARY
            or (alone and name in {"replace", "rename"})
            or (owner and name in {"write_text", "write_bytes"} and owner != "atomic")
        ):
            yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_are_written_by_one_module(folder):
    """What is written elsewhere may be empty after a power cut, though its digest is committed."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name != WRITER and name not in ALLOWED:
            calls = list(offences(ast.parse(path.read_text(encoding="utf-8"))))
            if calls:
                found[name] = calls
    assert found == {}


@pytest.mark.parametrize(
    "call",
    [
        "os.replace(a, b)",
        "path.replace(target)",
        "part.rename(folder)",
        "os.open(path, os.O_CREAT | os.O_EXCL)",
        "tempfile.NamedTemporaryFile()",
        "path.write_text(text, encoding='utf-8')",
    ],
)
def test_the_rule_sees_every_way(call):
    """The control of the test above."""
    assert list(offences(ast.parse(call)))


@pytest.mark.parametrize(
    "call", ["text.replace('a', 'b')", "moment.replace(day=1)", "replace(value, a=1)"]
)
def test_the_rule_leaves_other_replacements_alone(call):
    """Texts, times and values."""
    assert not list(offences(ast.parse(call)))
