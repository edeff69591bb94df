"""All answers are in one queue, and whoever can be written to gets the first of them."""

import select

import good

answers = []


class Client(good.Client):
    def read(self):
        data = self.receive()
        if data is None:
            return
        if not data:
            return self.close()
        answers.append(self.answer(data))
        self.watch(select.EPOLLOUT)

    def write(self):
        if answers:
            self.outbox = answers.pop(0)
        super().write()


class Server(good.Server):
    client = Client


good.main(Server)
