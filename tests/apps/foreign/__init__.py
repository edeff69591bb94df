"""Other people's tests on loopkit: what passes on stdlib asyncio only?

    python -m tests.apps.foreign                    every suite of the list, in an environment of its own
    python -m tests.apps.foreign asyncssh -k sftp   one suite, or a part of it

The suites, pinned, are in `suites.py`, and the differences that are known, with their reasons, in
`known.txt`. Each suite runs twice, on stdlib's loop and on loopkit as the default loop; what fails on one of
them alone is run again, so that a test which fails now and then is no difference. Takes a quarter of an hour
and the network, and is for that reason part of no other run.
"""
