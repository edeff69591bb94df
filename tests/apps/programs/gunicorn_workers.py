"""gunicorn's two kinds of ASGI worker, told to use loopkit."""

import asyncio

from gunicorn.workers.gasgi import ASGIWorker
from uvicorn_worker import UvicornWorker

import loopkit


class LoopkitASGIWorker(ASGIWorker):
    def _setup_event_loop(self):
        self.loop = loopkit.Loop()
        asyncio.set_event_loop(self.loop)


class LoopkitUvicornWorker(UvicornWorker):
    CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "loop": "loopkit:Loop"}
