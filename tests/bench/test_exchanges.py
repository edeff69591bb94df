"""Does the load see whether an application's answer is complete and right, in whatever pieces it comes?"""

import socket
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from loopkit.bench.load import exchanges, responder
from loopkit.bench.load.connections import Broken, Peer
from loopkit.bench.load.exchanges import EXCHANGES, Exchange, Http, Http2, WebSocket, decode_chunks
from loopkit.bench.load.talk import TalkLoad

PLAIN = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 12\r\n\r\nHello, world"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n7\r\n, world\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED], ids=["plain", "chunked"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_an_answer_is_complete_at_its_last_byte_and_not_before(answer: bytes, piece: int) -> None:
    exchange = Http(b"Hello, world")
    for _ in range(2):
        pieces = [answer[at : at + piece] for at in range(0, len(answer), piece)]
        assert [exchange.take(data) for data in pieces] == [False] * (len(pieces) - 1) + [True]


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (PLAIN.replace(b"200", b"500"), "the server answered"),
        (PLAIN.replace(b"world", b"earth"), "a wrong body"),
        (PLAIN + b"!", "a wrong body"),
        (PLAIN.replace(b"Content-Length", b"X"), "an answer without a length"),
        (CHUNKED.replace(b"world", b"earth"), "a wrong body"),
        (CHUNKED.replace(b"\r\n7", b"\r\n6"), "a chunk of 6 bytes does not end there"),
        (CHUNKED.replace(b"\r\n7", b"\r\nz"), "no size of a chunk"),
    ],
)
def test_a_wrong_answer_is_seen(answer: bytes, how: str) -> None:
    with pytest.raises(Broken, match=how):
        Http(b"Hello, world").take(answer)


def test_chunks_without_any_are_an_empty_body() -> None:
    assert decode_chunks(b"0\r\n\r\n") == b""


def http2_answer(stream: int, body: bytes = exchanges.HELLO, head: bytes = b"\x88") -> bytes:
    frames = [(Http2.HEADERS, 4, head), (Http2.DATA, 0, body), (Http2.DATA, 1, b"")]
    return b"".join(Http2._frame(kind, flags, stream, payload) for kind, flags, payload in frames)


@pytest.mark.parametrize("piece", [1, 10, 1000])
def test_streams_of_http2_follow_each_other(piece: int) -> None:
    exchange = Http2()
    assert exchange.opening.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert exchange.take(Http2._frame(Http2.SETTINGS, 0, 0, b""))
    first = exchange.request()
    assert first.startswith(Http2._frame(Http2.SETTINGS, Http2.ACK, 0, b"")), "settings are acknowledged"
    for stream in (1, 3):
        answer = http2_answer(stream)
        done = [exchange.take(answer[at : at + piece]) for at in range(0, len(answer), piece)]
        assert done == [False] * (len(done) - 1) + [True]
        assert exchange.request()[5:9] == (stream + 2).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (http2_answer(1, b"Hello, earth"), "a wrong answer on stream 1"),
        (http2_answer(1, head=b"\x8d"), "a wrong answer on stream 1"),
        (Http2._frame(Http2.RESET, 0, 1, b"1234"), "ended the stream"),
        (Http2._frame(Http2.GOAWAY, 0, 0, b"12345678"), "ended the connection"),
    ],
)
def test_a_wrong_answer_of_http2_is_seen(answer: bytes, how: str) -> None:
    exchange = Http2()
    exchange.request()
    with pytest.raises(Broken, match=how):
        exchange.take(answer)


def test_a_ping_is_answered_with_the_next_request() -> None:
    exchange = Http2()
    assert not exchange.take(Http2._frame(Http2.PING, 0, 0, b"12345678"))
    assert exchange.request().startswith(Http2._frame(Http2.PING, Http2.ACK, 0, b"12345678"))


@pytest.mark.parametrize("piece", [1, 50, 10_000])
def test_the_responder_and_the_exchange_of_messages_understand_each_other(piece: int) -> None:
    server, exchange = responder.WebSocket(), WebSocket()
    answer = b"".join(server.take(exchange.opening[at : at + piece]) for at in range(0, 999, piece))
    assert exchange.take(answer)
    for _ in range(3):
        request = exchange.request()
        answers = [server.take(request[at : at + piece]) for at in range(0, len(request), piece)]
        assert exchange.take(b"".join(answers))


def test_the_responder_takes_a_mask_off_and_answers_a_ping() -> None:
    server = responder.WebSocket()
    server.take(WebSocket.opening)
    masked = bytes(byte ^ mask for byte, mask in zip(b"abcde", b"1234" * 2, strict=False))
    assert server.take(b"\x82\x85" + b"1234" + masked) == b"\x82\x05abcde"
    assert server.take(b"\x89\x80" + b"1234") == b"\x8a\x00"


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no WebSocket was opened"),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: no\r\n\r\n", "no WebSocket was opened"),
    ],
)
def test_a_refused_websocket_is_seen(answer: bytes, how: str) -> None:
    with pytest.raises(Broken, match=how):
        WebSocket().take(answer)


def test_a_message_that_came_back_changed_is_seen() -> None:
    exchange = WebSocket()
    exchange.take(responder.WebSocket().take(exchange.opening))
    exchange.request()
    with pytest.raises(Broken, match="a wrong message"):
        exchange.take(exchange._answers[1])  # the other turn's


def serve(answer: Callable[[socket.socket], None]) -> tuple[Peer, Callable[[], None]]:
    """A thread that gives each connection to a function until told to stop."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            client = listener.accept()[0]
            with client:
                if not client.recv(65536):
                    return
                answer(client)

    thread = threading.Thread(target=run)
    thread.start()

    def stop() -> None:
        # Who waits in accept gets a connection that says nothing.
        socket.create_connection(listener.getsockname()).close()
        thread.join()
        listener.close()

    return Peer("tcp", listener.getsockname(), ""), stop


def once(index: int) -> Exchange:
    return EXCHANGES["hello-close"](index)


def test_an_answer_that_ends_its_connection_is_followed_by_another_connection() -> None:
    peer, stop = serve(lambda client: client.sendall(PLAIN))
    try:
        with closing(TalkLoad(peer, once, 1)) as load:
            assert len(load.pump(30, limit=3)) == 3
    finally:
        stop()


@pytest.mark.parametrize(
    ("answer", "exchange", "how"),
    [
        (b"", "hello", "closed a connection instead of answering"),
        (PLAIN[:-3], "hello-close", "closed a connection instead of answering"),
        (PLAIN + b"x", "hello-close", "a wrong body"),
    ],
)
def test_a_server_that_does_not_keep_to_it_is_seen(answer: bytes, exchange: str, how: str) -> None:
    peer, stop = serve(lambda client: client.sendall(answer))
    try:
        with closing(TalkLoad(peer, EXCHANGES[exchange], 1)) as load, pytest.raises(Broken, match=how):
            load.pump(30, limit=3)
    finally:
        stop()
