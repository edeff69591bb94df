"""Transports: what stands between a protocol and a descriptor.

`base.py` closing and extra information; `flow.py` water marks; `stream.py` TCP and Unix streams;
`datagram.py`; `pipe.py`.
"""
