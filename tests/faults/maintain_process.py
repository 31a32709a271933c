"""Program that tests start, and kill: maintain a lake.

Arguments: the lake's folder or URL, the present moment, how many rounds, a folder of this machine.
"""

import sys
from datetime import datetime
from pathlib import Path

from flywheel.lake import Lake
from flywheel.lake.maintenance import maintain


def main() -> None:
    """Say when it begins, so that a kill comes after the imports."""
    lake = Lake(sys.argv[1], local=Path(sys.argv[4]))
    sys.stdout.write("begin\n")
    sys.stdout.flush()
    for _ in range(int(sys.argv[3])):
        maintain(lake, now=datetime.fromisoformat(sys.argv[2]))


if __name__ == "__main__":
    main()
