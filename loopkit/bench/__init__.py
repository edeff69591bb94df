"""Measure event loops side by side, so that a reader can repeat every number loopkit prints.

How one figure comes about::

    plan.py      scenario by scenario, round by round, loop by loop: interleaved, so that a busy minute
       |         of the machine hits every loop alike, and each ratio compares neighbours in time
    measure.py   one scenario on one loop, once: a fresh server process, the load, one sample or one failure
       |
       +-- child/run.py     the server process: makes the loop under test the default, then runs an ordinary
       |                    asyncio program (examples/echo.py, child/servers.py) that knows nothing of it;
       |                    child/floor.py is the same server on a bare `select.epoll`
       +-- child/inside.py  scenarios without a peer (call_soon, timers, tasks...), in one process
       |                    a program of run.py, too
       +-- child/apps.py    other people's servers, and child/clients.py their clients; apps.py is their
       |                    table, peers.py runs what clients talk to (redis, PostgreSQL, load/responder.py)
       +-- load/            the other side: one long-lived process that uses no asyncio, drives the server,
                            checks every byte and reads the CPU clock of the server; what is said on the
                            connections of an application is in load/exchanges.py

    results.py   samples -> medians, spreads, ratios; to JSON and back
    report/      the same results as a table, a comparison, SVG, HTML, PNG

The figure to trust is *server CPU per operation* (user and system): it depends neither on how fast the load
is nor on what else the machine runs. Requests per second stand beside it with how busy the server was: a
server that idled could have served more.

The children live by their files' paths, not as modules of this package: importing loopkit into the process
that measures another loop would change that process's memory, and memory is part of what is measured.
"""
