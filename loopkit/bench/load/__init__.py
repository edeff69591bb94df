"""The load: the other side of every server scenario, in a process of its own that uses no asyncio."""
