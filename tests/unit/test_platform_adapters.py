"""Adapters reach a platform through its constructor and by no other way."""

import ast
from pathlib import Path

import pytest

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.settings import Settings
from flywheel.wiring import Platform
from tests.fakes.review_world import END

ROOT = Path(__file__).parents[2]
PROGRAMS = ("flywheel", "assets", "sensors", "demo", "loop", "bench", "tests")
ADAPTERS = frozenset(
    ("alerts", "desk", "label_studio", "lake", "launcher", "log", "queue", "registry", "state")
)


@pytest.fixture
def settings(tmp_path):
    """Return the settings of an empty home."""
    return Settings(home=tmp_path, workloads=tmp_path / "workloads")


def test_handed_in_adapter_takes_the_place_of_the_settings_choice(settings, tmp_path):
    """It is neither replaced nor closed by the platform."""
    lake, clock = Lake(tmp_path / "other"), ManualClock(END)
    queue = LocalReviewQueue(tmp_path / "queue", clock)
    platform = Platform(settings, clock, lake=lake, queue=queue)
    assert platform.lake is lake
    assert platform.queue is queue
    platform.close()
    assert lake.rows("SELECT 1 AS one") == [{"one": 1}]
    lake.close()


def test_adapter_is_opened_once_and_again_after_close(settings):
    """Nothing is opened before it is asked for."""
    platform = Platform(settings)
    assert list(settings.home.iterdir()) == []
    first = platform.lake
    assert platform.lake is first
    platform.close()
    assert platform.lake is not first
    platform.close()


def test_model_server_is_made_by_what_was_handed_in(settings, monkeypatch):
    """One server per base model."""
    made = []
    base = type("Base", (), {"folder": settings.home / "base", "digest": "d"})()
    monkeypatch.setattr("flywheel.basemodel.HomeBases.find", lambda *_: base)
    platform = Platform(settings, model_server=lambda folder: made.append(folder) or object())
    assert platform.server(None) is platform.server(None)
    assert made == [settings.home / "base"]


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_adapter_cannot_be_assigned(settings, name):
    """Not by an attribute, and what is written beneath it has no effect."""
    platform = Platform(settings)
    with pytest.raises(AttributeError):
        setattr(platform, name, None)


def test_every_adapter_is_an_argument():
    """A new adapter property comes with its argument, and is listed here."""
    arguments = set(Platform.__init__.__annotations__) - {"settings", "clock", "return"}
    assert arguments == ADAPTERS | {"model_server"}
    assert all(isinstance(vars(Platform)[name], property) for name in ADAPTERS)


def test_nobody_writes_beneath_an_object():
    """No module writes into a ``__dict__`` or replaces an adapter property of Platform."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in PROGRAMS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if any(word in (text := path.read_text()) for word in ("__dict__", "vars(", "setattr"))
        for line in writes_beneath(ast.parse(text))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'platform.__dict__["queue"] = 1',
        'vars(platform)["queue"] = 1',
        'platform.__dict__.update({"queue": 1})',
        'platform.__dict__.pop("queue")',
        'del platform.__dict__["queue"]',
        'monkeypatch.setattr(Platform, "queue", 1)',
        'monkeypatch.setattr("flywheel.wiring.Platform.queue", 1)',
        'object.__setattr__(world.platform, "queue", 1)',
        'setattr(platform, "queue", 1)',
    ],
)
def test_every_way_to_write_beneath_is_seen(line):
    """The check sees what it is for."""
    assert writes_beneath(ast.parse(line)) == [1]


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(Platform, "build_base", 1)',
        "names = sorted(vars(platform))",
        'setattr(row, "queue", 1)',
        "copy = dict(platform.__dict__)",
    ],
)
def test_other_uses_are_left_alone(line):
    """Reading is allowed, and so is a patch of a method that is no adapter."""
    assert writes_beneath(ast.parse(line)) == []


def writes_beneath(tree: ast.AST) -> list[int]:
    """Return the lines that write into an object's dictionary or replace Platform's adapters."""
    return [node.lineno for node in ast.walk(tree) if _writes(node) or _replaces_adapter(node)]


def _writes(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _is_dictionary(node.value)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"update", "setdefault", "pop", "clear", "popitem"}
        and _is_dictionary(node.func.value)
    )


def _is_dictionary(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "__dict__"
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars"


def _replaces_adapter(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not node.args:
        return False
    if ast.unparse(node.func).rpartition(".")[2] not in {"setattr", "__setattr__", "delattr"}:
        return False
    texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    target = ast.unparse(node.args[0]).strip("'\"").lower().split(".")
    if "platform" in target[-1]:
        return any(text in ADAPTERS for text in texts)
    return target[-2:-1] == ["platform"] and target[-1] in ADAPTERS
