"""The load of the gRPC server: threads that call and wait, on gRPC's own client, which uses no asyncio."""

from __future__ import annotations

import threading
import time

import grpc

from loopkit.bench.load.connections import PATIENCE, Broken, make_payload

METHOD = "/bench/echo"
SIZE = 256


class CallLoad:
    """Keeps so many calls under way, each on a channel of its own."""

    def __init__(self, address: str, callers: int) -> None:
        # Each channel a connection: channels with the same arguments would share one.
        self._channels = [
            grpc.insecure_channel(address, [("bench.number", number)]) for number in range(callers)
        ]
        self._failure = ""

    def pump(self, seconds: float, limit: float = float("inf")) -> list[float]:
        """Call for some seconds, or until `limit` calls are done. Returns the latency of each, in seconds."""
        latencies: list[float] = []
        end = time.perf_counter() + seconds
        threads = [
            threading.Thread(target=self._call, args=(channel, number, end, limit, latencies))
            for number, channel in enumerate(self._channels)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure:
            raise Broken(self._failure)
        return latencies

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            channel.close()

    def _call(
        self, channel: grpc.Channel, number: int, end: float, limit: float, latencies: list[float]
    ) -> None:
        payload, call = make_payload(SIZE, number), channel.unary_unary(METHOD)
        now = time.perf_counter()
        while now < end and len(latencies) < limit and not self._failure:
            try:
                answer = call(payload, timeout=PATIENCE)
            except grpc.RpcError as error:
                self._failure = f"a call failed: {error.code()}"
                return
            if answer != payload:
                self._failure = f"a wrong answer: {answer[:20]!r} instead of {payload[:20]!r}"
                return
            began, now = now, time.perf_counter()
            latencies.append(now - began)
