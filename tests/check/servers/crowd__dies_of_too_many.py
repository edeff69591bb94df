"""A hundred and one clients are the end of it."""

import good


class Server(good.Server):
    def accept(self):
        super().accept()
        if len(self.clients) > 100:
            raise ValueError("filedescriptor out of range in select()")


good.main(Server)
