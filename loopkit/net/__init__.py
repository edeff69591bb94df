"""Sockets: addresses, connections in both directions, datagram endpoints, pipes, the `sock_*` operations."""
