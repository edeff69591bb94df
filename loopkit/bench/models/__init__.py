"""What the models cost as the number of watched sockets grows: select, poll, epoll, and polling in a circle.

Courses assert it, this measures it. A server is started in another process (`servers.py`), so many silent
clients connect, and one more asks and asks. How much processor time does one answer cost the server? And how
much while all are silent? Each model twice: bare, and as the poller of a loopkit loop.

    servers.py   the servers
    measure.py   one server after the other, with more and more silent clients
    results.py   the figures; to JSON
    table.py     the same as a table
    curves.py    the same as a picture
"""
