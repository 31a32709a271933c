"""Start-up stays quick, and heavy libraries stay out of it."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
# One list: what ruff bans from the top of a module is what a start must not import.
HEAVY = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]

PROBE = """
import json, sys
import {module}
print(json.dumps([name for name in {heavy} if name in sys.modules]))
"""


def run(code, repository):
    environment = os.environ | {"FLYWHEEL_WORKLOADS": str(repository / "deploy" / "workloads")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_mypy_reads_what_is_used(repository):
    """What comes from a module that mypy skips would be `Any`; Spark's data frames are meant to."""
    mypy = PROJECT["tool"]["mypy"]
    patterns = {
        kind: [
            pattern
            for override in mypy["overrides"]
            if override.get("follow_imports") == kind
            for pattern in override["module"]
        ]
        for kind in ("skip", "normal")
    }
    roots = {pattern.partition(".")[0] for pattern in patterns["skip"]}
    assert len(roots) > 1
    skipped = {
        name
        for place in mypy["files"]
        for path in _modules(repository / place)
        for name in _used(path.read_text(), roots)
        if _is_one_of(name, patterns["skip"]) and not _is_one_of(name, patterns["normal"])
    }
    assert {name.partition(".")[0] for name in skipped} == {"pyspark"}


def _modules(place):
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def _used(text, roots):
    if not any(f"import {root}" in text or f"from {root}" in text for root in roots):
        return  # most modules: they need no parsing
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def _is_one_of(name, patterns):
    # mypy's `a.b.*` is `a.b` and all below it.
    beginnings = tuple(one.removesuffix("*") for one in patterns if one.endswith(".*"))
    return name in patterns or f"{name}.".startswith(beginnings)


@pytest.mark.parametrize("module", ["flywheel", "flywheel.wiring", "flywheel.cli", "definitions"])
def test_loading_imports_nothing_heavy(module, repository):
    """Neither the library nor the code location pulls in a model or registry library."""
    done = run(PROBE.format(module=module, heavy=HEAVY), repository)

    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("module", ["flywheel.state.database", "flywheel.orchestration.storage"])
def test_who_makes_statements_has_loaded_the_whole_of_sqlalchemy(module, repository):
    """Sensors are threads: a statement made while another one imports the ORM failed its tick."""
    code = f"import sys, {module}; print('sqlalchemy.orm.mapper' in sys.modules)"
    assert run(code, repository).stdout.split()[-1] == "True"
