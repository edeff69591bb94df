"""``python -m loopkit``: the same as the ``loopkit`` command."""

import sys

from loopkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
