"""python -m tests.apps.foreign: see the head of the package."""

import sys

from tests.apps.foreign.cli import main

sys.exit(main())
