"""`nested_folder`: a folder with a file, and another one in a folder of its own."""

from pathlib import Path

__all__ = ["nested_folder"]


def nested_folder(parent: Path) -> Path:
    """Make the folder below a parent and return it."""
    folder = parent / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "inner" / "b.bin").write_bytes(bytes(range(256)))
    return folder
