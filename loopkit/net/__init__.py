"""Sockets: addresses, outgoing and incoming connections, datagram endpoints, and the `sock_*` operations."""
