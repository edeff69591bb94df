"""Print, as JSON, what the import of a module costs in this fresh process: `python imports.py MODULE CPUS`.

asyncio, which every loop needs, is loaded first and not counted, unless it is what was asked for.
"""

import importlib
import json
import os
import sys
import time

module, cpus = sys.argv[1:]
if cpus:
    os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
if module != "asyncio":
    importlib.import_module("asyncio")
began, cpu = time.perf_counter(), time.process_time()
importlib.import_module(module)
cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
print(json.dumps({"operations": 1, "seconds": seconds, "rate": 1 / seconds, "cpu": cpu, "p50": seconds}))
