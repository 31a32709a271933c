"""The public interface: its names, their modules, and that the wheel ships its types."""

import os
import re
import subprocess
import sys
import zipfile

import pytest

import flywheel


def test_the_visible_names_are_the_declared_ones():
    """`dir(flywheel)` and `__all__` are the same sorted list, and each name can be used."""
    assert flywheel.__all__ == sorted(flywheel.__all__) == dir(flywheel)
    for name in flywheel.__all__:
        assert getattr(flywheel, name) is not None


def test_type_checkers_and_python_read_the_same_modules(repository):
    """The imports for type checkers name the modules that the names are loaded from."""
    text = (repository / "flywheel" / "__init__.py").read_text()
    imports = re.findall(r"^    from ([\w.]+) import ([\w, ]+)$", text, re.MULTILINE)
    typed = {name: module for module, names in imports for name in names.split(", ")}
    loaded = {name: module for module, name in re.findall(r'"(flywheel[\w.]*):(\w+)"', text)}

    assert typed == loaded
    assert {*loaded, "__version__"} == set(flywheel.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """A misspelled name is refused as by any module."""
    with pytest.raises(AttributeError, match="open_platfrom"):
        _ = flywheel.open_platfrom


def test_importing_the_package_is_quick_and_loads_nothing(repository):
    """`import flywheel` uses under 0.3 s of CPU and imports no module but its own."""
    probe = (
        "import sys, time; before = set(sys.modules); start = time.process_time()\n"
        "import flywheel\n"
        "print(time.process_time() - start, sum('.' in name for name in sys.modules "
        "if name.startswith('flywheel')), 'pydantic' in set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=repository, capture_output=True, text=True, check=True
    )
    seconds, submodules, pydantic = done.stdout.split()

    assert float(seconds) < 0.3
    assert (submodules, pydantic) == ("0", "False")


def test_the_wheel_ships_the_types_and_nothing_beside_the_package(repository, tmp_path):
    """An installed copy is a typed package (PEP 561): mypy would see `Any` without the marker."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}
    subprocess.run(
        [*build, str(tmp_path)], cwd=repository, env=environment, capture_output=True, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert "flywheel/py.typed" in names
    assert "flywheel/client.py" in names
    assert {"flywheel/desk/templates/desk.css", "flywheel/desk/templates/cycle.html"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"flywheel"}
