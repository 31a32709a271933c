import stat

import pytest

from flywheel.errors import StorageError
from flywheel.services.application import Application
from flywheel.services.supervisor.plan import load_plan, new_plan, save_plan


def _plan(tmp_path):
    plan = new_plan(ephemeral=False, cache=tmp_path, memory_mb=512, properties={"a": "b"})
    return plan.with_ports({"kafka": (1, 2)}).with_application(
        Application("daemon", ("run", "it"), str(tmp_path), {"SECRET": "x"}, ports=(7,))
    )


def test_a_plan_is_read_as_it_was_written(tmp_path):
    """Ports, broker settings and applications survive the disk."""
    plan = _plan(tmp_path)
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan


def test_a_plan_is_for_its_owner_alone(tmp_path):
    """It may hold passwords of applications."""
    save_plan(_plan(tmp_path), tmp_path / "plan.json")
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600


def test_no_plan_is_none(tmp_path):
    """Where nothing was started there is no plan."""
    assert load_plan(tmp_path / "plan.json") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"ports": {}, "applications": 3}'])
def test_a_broken_plan_says_what_to_do(tmp_path, content):
    """A damaged file is an error with the way out, not a traceback."""
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(StorageError) as caught:
        load_plan(tmp_path / "plan.json")
    assert "delete that file" in caught.value.next_step


def test_a_cluster_id_is_no_option(tmp_path):
    """Kafka's formatter would take an id that begins with a dash for an option."""
    ids = {
        new_plan(ephemeral=True, cache=tmp_path, memory_mb=512, properties={}).cluster_id
        for _ in range(50)
    }
    assert len(ids) == 50
    assert not any(cluster.startswith("-") for cluster in ids)
    assert {len(cluster) for cluster in ids} == {22}
