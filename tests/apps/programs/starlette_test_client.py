"""Starlette's test client, told in code."""

from asgi_app import app
from starlette.testclient import TestClient

import loopkit

with TestClient(app, backend_options={"loop_factory": loopkit.Loop}) as client:
    print(client.get("/").json()["loop"])
    print(client.post("/echo", content=b"body").content == b"body")
    with client.websocket_connect("/chat") as ws:
        print(ws.receive_text())
