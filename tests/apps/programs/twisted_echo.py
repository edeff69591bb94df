"""Twisted on a loop that it is given: a server, a client, a deferred of a coroutine, a process."""

from twisted.internet import asyncioreactor

import loopkit

asyncioreactor.install(loopkit.Loop())

import asyncio  # noqa: E402
import sys  # noqa: E402

from proof import loop_name  # noqa: E402
from twisted.internet import defer, endpoints, protocol, reactor, task, utils  # noqa: E402


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)
        if data.endswith(b"."):
            self.transport.loseConnection()


class Client(protocol.Protocol):
    def __init__(self):
        self.heard, self.done = b"", defer.Deferred()

    def connectionMade(self):
        self.transport.write(b"hello, ")
        reactor.callLater(0.01, self.transport.write, b"world.")

    def dataReceived(self, data):
        self.heard += data

    def connectionLost(self, reason):
        self.done.callback(self.heard.decode())


async def main(reactor):
    factory = protocol.Factory.forProtocol(Echo)
    port = await endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    client = Client()
    endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    await endpoints.connectProtocol(endpoint, client)
    print(await client.done)
    print((await utils.getProcessOutput(sys.executable, ["-c", "print(6 * 7)"])).decode().strip())
    await defer.Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(0.01)))
    print("loop:", loop_name())
    await port.stopListening()


task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
