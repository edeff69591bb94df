"""A client of a Jupyter server: asks for its status, and starts, uses and ends a kernel through it."""

import json
import sys
import urllib.request

base, token = sys.argv[1:]


def call(method, path, body=None):
    request = urllib.request.Request(f"{base}{path}", method=method, data=body and json.dumps(body).encode())
    request.add_header("Authorization", f"token {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else None


print("status:", "started" in call("GET", "/api/status"))
kernel = call("POST", "/api/kernels", {"name": "python3"})
print("kernels:", len(call("GET", "/api/kernels")))
call("DELETE", f"/api/kernels/{kernel['id']}")
print("kernels:", len(call("GET", "/api/kernels")))
