"""Importing this registers every probe, in the order of the modules and of their lines."""

from . import (  # noqa: F401
    callbacks,
    connections,
    datagrams,
    descriptors,
    lifecycle,
    pipes,
    processes,
    reports,
    sendfile,
    servers,
    sockets,
    tasks,
    threads,
    tls,
)
