"""Child processes.

`spawn.py` starting one; `watch.py` noticing its end; `transport.py` what stands between it and a protocol.
"""
