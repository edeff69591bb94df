"""Has a hundred places."""

import good


class Server(good.Server):
    def accept(self):
        super().accept()
        if len(self.clients) > 100:
            self.clients[max(self.clients)].close()


good.main(Server)
