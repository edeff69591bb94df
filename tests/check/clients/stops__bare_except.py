"""Swallows Ctrl-C with everything else."""

import good


class Client(good.Client):
    def wait(self):
        while True:
            try:
                return super().wait()
            except:  # noqa: E722 - this is the fault
                pass


good.main(Client)
