"""``python -m flywheel.train SPEC.json --out DIR``: train one adapter.

The exit code tells what went wrong: 64 bad spec, 65 bad data, 66 out of memory, 74 disk full, 75 interrupted.
"""

import sys

from flywheel.train.program import main

if __name__ == "__main__":
    sys.exit(main())
