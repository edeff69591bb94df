"""docs/howto/metrics.md: do its programs work as they stand there?"""

import json
import re
import socket

import pytest

from tests.apps.running import ON_LOOPKIT, ROOT, needs, running

PAGE = (ROOT / "docs" / "howto" / "metrics.md").read_text()


@pytest.fixture
def on_the_page(tmp_path):
    """Writes a program of the page into a folder."""

    def write(name):
        (text,) = re.findall(rf"^```python\n(# {name}\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        (tmp_path / name).write_text(text)
        return text

    return write


TELEMETRY = """
import asyncio

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

from telemetry import export

exporter = ConsoleMetricExporter(formatter=lambda data: data.to_json(indent=None) + "\\n")
provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter, 3_600_000)])
metrics.set_meter_provider(provider)

async def main():
    export(asyncio.get_running_loop())
    for _ in range(20):
        await asyncio.sleep(0.005)
    await asyncio.to_thread(provider.force_flush)

asyncio.run(main())
"""


@needs("opentelemetry")
def test_the_lines_for_opentelemetry_tell_of_the_whole_time_and_of_a_closed_loop_nothing(
    on_the_page, tmp_path
):
    on_the_page("telemetry.py")
    (tmp_path / "app.py").write_text(TELEMETRY)
    with running(*ON_LOOPKIT, "app.py", folder=tmp_path) as program:
        exported = program.wait_for(r"^\{.*\}$")[0]
        assert program.finish() == 0  # it exports once more on the way out, when the loop is closed
    assert "Traceback" not in program.output
    assert program.output.strip() == exported
    (scope,) = json.loads(exported)["resource_metrics"][0]["scope_metrics"]
    time, delay = scope["metrics"]
    assert (time["name"], time["unit"]) == ("loopkit.eventloop.time", "s")
    assert time["data"]["is_monotonic"]
    spent = {
        point["attributes"]["loopkit.eventloop.state"]: point["value"]
        for point in time["data"]["data_points"]
    }
    assert set(spent) == {"active", "idle"}
    assert sum(spent.values()) > 0.09  # twenty times five milliseconds, before anything was exported
    assert (delay["name"], delay["unit"]) == ("loopkit.eventloop.delay", "s")
    late = [(point["attributes"]["quantile"], point["value"]) for point in delay["data"]["data_points"]]
    assert [share for share, _ in late] == [0.5, 0.9, 0.99]
    assert late == sorted(late)


def test_prometheus_can_read_what_the_program_for_it_says(on_the_page, tmp_path):
    text = on_the_page("prometheus.py")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "prometheus.py").write_text(text.replace("9464", str(port)))
    with running("prometheus.py", folder=tmp_path) as program:
        program.wait_for("see http")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.endswith(b"# EOF\n")
    for name in re.findall(r"loopkit_eventloop_\w+", PAGE):  # what the page tells to ask for
        assert f"\n{name}{{".encode() in body
