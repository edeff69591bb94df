"""uvicorn, told in code."""

import uvicorn

uvicorn.run("asgi_app:app", host="127.0.0.1", port=0, loop="loopkit:Loop")
