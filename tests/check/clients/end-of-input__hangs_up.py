"""Leaves at the end of what is typed, whatever it is still owed."""

import good


class Client(good.Client):
    def end_of_input(self):
        good.sys.exit()


good.main(Client)
