"""Takes a client out of the dictionary that it walks through."""

import good


class Server(good.Server):
    def run(self):
        while True:
            events = dict(self.poller.poll())
            if self.door.fileno() in events:
                self.accept()
            for fd, client in self.clients.items():
                if fd in events:
                    client.handle(events[fd])


good.main(Server)
