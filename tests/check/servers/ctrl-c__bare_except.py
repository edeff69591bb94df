"""Swallows Ctrl-C with everything else."""

import good


class Server(good.Server):
    def run(self):
        while True:
            try:
                super().run()
            except:  # noqa: E722 - this is the fault
                pass


good.main(Server)
