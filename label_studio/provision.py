"""Make or update the projects of all workloads: the same as `flywheel review provision`."""

# ruff: noqa: INP001 - a script
import sys

from flywheel.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.argv[1:1] = ["review", "provision"]
    main()
