"""Ends before it listens."""

raise RuntimeError("the port is made of cheese")
