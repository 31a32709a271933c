"""Start-up stays quick, and heavy libraries stay out of it."""

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
