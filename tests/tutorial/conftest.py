"""The programs of the tutorial choose their own poller, or have none of loopkit's at all.

Once per Python is enough: a run that forces a poller on all of loopkit's tests has nothing to add here, where
`test_servers.py` tries each poller by itself.
"""

import os

collect_ignore_glob = ["test_*.py"] if os.environ.get("LOOPKIT_POLLER") else []
