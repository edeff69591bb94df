"""One body, many loops: whatever a program can observe on stdlib asyncio, it observes on loopkit.

A test here that fails on stdlib asyncio is a wrong test. Where uvloop is known to deviate,
`uvloop_differs` says how.
"""
