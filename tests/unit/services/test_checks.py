import pytest

from flywheel.errors import StorageError
from flywheel.services.checks import require_no_leftovers, require_space


def test_a_full_disk_is_told_before_anything_starts(tmp_path):
    """The error says how much is free, how much is wanted, and where to go."""
    with pytest.raises(StorageError, match=f"MiB are free in {tmp_path}") as caught:
        require_space(tmp_path, mebibytes=2**40)
    assert "FLYWHEEL_SERVICES" in caught.value.next_step


def test_room_is_enough(tmp_path):
    """A disk with room is no error."""
    require_space(tmp_path, mebibytes=1)


def test_a_clean_folder_has_no_leftovers(tmp_path):
    """Processes of other folders are none of this one's."""
    require_no_leftovers(tmp_path)
