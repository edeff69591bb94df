"""IPython's cells with top-level await, in a session without a terminal."""

from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_cell("import asyncio")
shell.run_cell("await asyncio.sleep(0.001)")
shell.run_cell("async def f(): return 6 * 7\nprint(await f())")
shell.run_cell("from proof import loop_name\nasync def g(): return loop_name()\nprint('loop:', await g())")
