"""The bits of a mask: what is asked of a poller, and what it answers.

They are those of `select.poll`. Where there is none (Windows has `select` alone), nobody but our own code
reads them, and Linux's numbers do.
"""

from __future__ import annotations

import select
import sys

POLLIN: int = getattr(select, "POLLIN", 0x001)
POLLPRI: int = getattr(select, "POLLPRI", 0x002)
POLLOUT: int = getattr(select, "POLLOUT", 0x004)
POLLERR: int = getattr(select, "POLLERR", 0x008)
POLLHUP: int = getattr(select, "POLLHUP", 0x010)
POLLNVAL: int = getattr(select, "POLLNVAL", 0x020)

#: The other side has closed its end for writing. 0 where `poll` does not know it; PyPy has no name for what
#: Linux has.
POLLRDHUP: int = getattr(select, "POLLRDHUP", 0x2000 if sys.platform == "linux" else 0)
if not hasattr(select, "poll"):
    POLLRDHUP = 0
