"""Is a port that is held for a program still free when the program binds it?"""

import socket
from pathlib import Path

import pytest

from loopkit.check import ports
from loopkit.check.ports import held_port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_the_kernel_gives_it_to_nobody_else(
    kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "RANGE", tmp_path / "range")
    ports.RANGE.write_text("20000\t60999\n")
    with held_port(kind) as port, socket.socket(type=kind) as sock:
        assert not 20000 <= port <= 60999
        sock.bind(("", port))


def test_nobody_is_given_the_same_one_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    with held_port() as one, held_port() as two:
        monkeypatch.setattr(ports, "_candidates", lambda: [one, two])
        with held_port() as three:
            assert three not in (one, two)
    with held_port() as again:
        assert again == one


def test_one_that_somebody_has_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with held_port() as free:
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(ports, "_candidates", lambda: [taken.getsockname()[1], free])
        with held_port() as port:
            assert port == free


@pytest.mark.parametrize("text", ["1 65535\n", None], ids=["it is everything", "it is unknown"])
def test_without_a_range_outside_the_kernels_choice_the_kernel_chooses(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "range"
    if text is not None:
        file.write_text(text)
    low, high = map(int, ports.RANGE.read_text().split())
    monkeypatch.setattr(ports, "RANGE", file)
    with held_port() as port, socket.create_server(("127.0.0.1", port)):
        assert low <= port <= high
