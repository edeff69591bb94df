"""Never sleeps."""

import good


class Client(good.Client):
    def wait(self):
        return good.select.select(self.watched, [], [], 0)[0]


good.main(Client)
