"""hypercorn, told in code."""

from asgi_app import app
from hypercorn.asyncio import serve
from hypercorn.config import Config

import loopkit

config = Config()
config.bind = ["127.0.0.1:0"]
loopkit.run(serve(app, config))
