"""granian, which builds its loop by a name that can be registered anew; workers import this file, too."""

import sys

from granian import Granian, loops

import loopkit


@loops.register("auto")
def build_loop():
    return loopkit.Loop()


if __name__ == "__main__":
    Granian("asgi_app:app", address="127.0.0.1", port=int(sys.argv[1]), interface="asgi", workers=1).serve()
