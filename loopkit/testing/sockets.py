"""`socket.socket` while a simulation runs: the face of an open file of the simulated kernel.

A simulated socket *is* a `socket.socket` (programs check), without a descriptor of the real kernel. While a
simulated loop runs in a thread, ``socket.socket(...)`` there makes one (`names.py`), and so does a subclass
that a program defines.

A call that would block lets time pass, with what the outside does in it, until it can go on or its timeout is
over: the loop stands still meanwhile, as a real one would.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from . import outside
from .datagrams import Udp, UnixDatagrams
from .errors import EscapedError
from .files import copied, failure, in_bytes
from .streams import UnixStream
from .tcp import Tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .world import World

__all__ = ["SimSocket"]

INTERNET = (socket.AF_INET, socket.AF_INET6)

#: As plain numbers: an IntFlag's ``&`` costs as much as the call it is in.
PEEK, DONTWAIT = int(socket.MSG_PEEK), int(socket.MSG_DONTWAIT)

#: Options that are an attribute of the open file.
ATTRIBUTES = {
    (socket.SOL_SOCKET, socket.SO_REUSEADDR): "reuses_address",
    (socket.SOL_SOCKET, socket.SO_REUSEPORT): "reuses_port",
    (socket.SOL_SOCKET, socket.SO_BROADCAST): "may_broadcast",
    (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY): "is_v6only",
}
SIZES = {socket.SO_SNDBUF: "send_size", socket.SO_RCVBUF: "receive_size"}


class SimSocket(socket.socket):
    """A socket of a simulated kernel."""

    __slots__ = ("_family", "_fd", "_proto", "_seconds", "_type", "file", "world")

    world: World
    file: Any

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> None:
        loop = outside.simulation()
        if loop is None:
            raise RuntimeError("a simulated socket is made while a simulation runs")
        self.world = loop.world
        self._io_refs, self._closed, self._fd = 0, False, -1
        if fileno is not None:
            file = self.world.files.get(fileno)
            if file is None:
                raise failure(errno.EBADF)
            self._adopt(file, fileno)
            return
        family = socket.AF_INET if family == -1 else family
        kind = (socket.SOCK_STREAM if type == -1 else type) & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._proto = 0 if proto == -1 else proto
        file = self._make(int(family), int(kind))
        self._adopt(file, self.world.files.install(file))

    def _make(self, family: int, kind: int) -> Any:
        host = outside.current_host(self.world)
        if family in INTERNET and kind == socket.SOCK_STREAM:
            return Tcp(self.world, host, family)
        if family in INTERNET and kind == socket.SOCK_DGRAM:
            return Udp(self.world, host, family)
        if family == socket.AF_UNIX and kind == socket.SOCK_STREAM:
            return UnixStream(self.world, host)
        if family == socket.AF_UNIX and kind == socket.SOCK_DGRAM:
            return UnixDatagrams(self.world, host)
        raise EscapedError(
            f"sockets of family {family} and type {kind} are not simulated; TCP, UDP, and Unix streams and "
            "datagrams are. With real_sockets() this one is real"
        )

    def _adopt(self, file: Any, fd: int) -> None:
        self.file, self._fd = file, fd
        self._family, self._type = file.family, int(file.type)
        if not hasattr(self, "_proto"):
            self._proto = 0
        self._seconds: float | None = socket.getdefaulttimeout()

    # -- what it is ------------------------------------------------------------------------------------------

    @property
    def family(self) -> Any:
        return socket.AddressFamily(self._family)

    @property
    def type(self) -> Any:
        return socket.SocketKind(self._type)

    @property
    def proto(self) -> Any:
        return self._proto

    @property
    def timeout(self) -> float | None:
        return self._seconds

    def fileno(self) -> int:
        return self._fd

    def __repr__(self) -> str:
        text = f"<socket.socket {'[closed] ' if self._fd < 0 else ''}fd={self._fd}, family={self._family}"
        if self._fd >= 0:
            text += f", type={self._type}, proto={self._proto}, simulated: {self.file.tell()}"
        return f"{text}>"

    def gettimeout(self) -> float | None:
        return self._seconds

    def settimeout(self, value: Any) -> None:
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._seconds = None if value is None else float(value)
        self._check().blocks = value is None

    def setblocking(self, flag: Any) -> None:
        self._check().blocks = bool(flag)
        self._seconds = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._seconds != 0.0

    def get_inheritable(self) -> bool:
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        pass

    def _check(self) -> Any:
        if self._fd < 0:
            raise failure(errno.EBADF)
        return self.file

    # -- blocking --------------------------------------------------------------------------------------------

    def _wait(self, call: Callable[..., Any], *args: Any) -> Any:
        """``call(*args)``, again and again while it would block, as long as the timeout allows."""
        if self._seconds == 0.0:
            self._check()
            return call(*args)
        return self.world.blocked(lambda: (self._check(), call(*args))[1], self._seconds)

    # -- addresses -------------------------------------------------------------------------------------------

    def _resolved(self, address: Any) -> Any:
        if self._family not in INTERNET:
            return address
        if not isinstance(address, tuple):
            family = "AF_INET6" if self._family == socket.AF_INET6 else "AF_INET"
            raise TypeError(f"{family} address must be tuple, not {type(address).__name__}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError("'str' object cannot be interpreted as an integer")
        if not 0 <= port <= 65535:
            raise OverflowError("port must be 0-65535.")
        if host == "":
            return ("::" if self._family == socket.AF_INET6 else "0.0.0.0", *address[1:])
        if host == "<broadcast>":
            return ("255.255.255.255", port)
        return self.world.network.resolve(host, port, self._family, self._type)[0][4]

    def bind(self, address: Any) -> None:
        self._check().bind(self._resolved(address))

    def listen(self, backlog: int = 128) -> None:
        self._check().listen(backlog)

    def connect(self, address: Any) -> None:
        file = self._check()
        address = self._resolved(address)
        if self._seconds == 0.0 or self._type != socket.SOCK_STREAM or self._family == socket.AF_UNIX:
            self._wait(file.connect, address)
            return
        try:
            file.connect(address)
        except BlockingIOError as exc:
            if exc.errno != errno.EINPROGRESS:
                raise
        self.world.blocked(lambda: self._connected(file), self._seconds)

    def _connected(self, file: Any) -> None:
        if file.state == "connecting":
            raise failure(errno.EAGAIN)
        file.connect(file.remote) if file.progress == "connecting" else None

    def connect_ex(self, address: Any) -> int:
        try:
            self.connect(address)
        except socket.gaierror:
            raise
        except OSError as exc:
            if exc.errno is None:
                return errno.EAGAIN
            return exc.errno
        return 0

    def accept(self) -> tuple[socket.socket, Any]:
        file = self._check()
        if file.host.fd_limit is not None and file.host.fds >= file.host.fd_limit:
            raise failure(errno.EMFILE)
        client = self._wait(file.accept, self._seconds is None)
        sock = self.world.socket_type.of(self.world, client)
        return sock, client.remote if self._family != socket.AF_UNIX else ""

    @classmethod
    def of(cls, world: World, file: Any) -> SimSocket:
        """A new descriptor for *file*, and a socket on it."""
        sock = cls.__new__(cls)
        sock.world = world
        sock._io_refs, sock._closed, sock._fd = 0, False, -1
        sock._adopt(file, world.files.install(file))
        return sock

    def getsockname(self) -> Any:
        return self._check().local

    def getpeername(self) -> Any:
        return self._check().peername()

    # -- data ------------------------------------------------------------------------------------------------

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        if not bufsize and self._type == socket.SOCK_STREAM:
            return b""
        if flags & DONTWAIT:
            result: bytes = self._check().recv(bufsize, bool(flags & PEEK))
            return result
        result = self._wait(self.file.recv, bufsize, bool(flags & PEEK))
        return result

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        with in_bytes(buffer) as view:
            data = SimSocket.recv(self, _fitting(view, nbytes), flags)
            view[: len(data)] = data
            return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        if self._type == socket.SOCK_STREAM:
            return SimSocket.recv(self, bufsize, flags), None if self._family != socket.AF_UNIX else ""
        result: tuple[bytes, Any] = self._wait(self.file.recvfrom, bufsize, bool(flags & PEEK))
        return result

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        with in_bytes(buffer) as view:
            data, address = SimSocket.recvfrom(self, _fitting(view, nbytes), flags)
            view[: len(data)] = data
            return len(data), address

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> Any:
        data, address = self.recvfrom(bufsize, flags)
        return data, [], 0, address

    def send(self, data: Any, flags: int = 0) -> int:
        count: int = self._wait(self.file.send, copied(data))
        return count

    def sendmsg(self, buffers: Iterable[Any], ancdata: Any = (), flags: int = 0, address: Any = None) -> int:
        data = b"".join(bytes(part) for part in buffers)
        count: int = (
            self._wait(self.file.send, data) if address is None else SimSocket.sendto(self, data, address)
        )
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(copied(data))  # of our own copy: what is left of it is not copied again
        while rest:
            rest = rest[self._wait(self.file.send, rest) :]

    def sendto(self, data: Any, *rest: Any) -> int:
        if not rest:
            raise TypeError("sendto() takes 2 or 3 arguments (1 given)")
        data = copied(data)
        if self._type == socket.SOCK_STREAM:
            return self.send(data)
        count: int = self._wait(self.file.sendto, data, self._resolved(rest[-1]))
        return count

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined,no-any-return]

    # -- options ---------------------------------------------------------------------------------------------

    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        file = self._check()
        if isinstance(value, (bytes, bytearray)) and len(value) == 4:
            value = int.from_bytes(value, "little")
        if level == socket.SOL_SOCKET and option == socket.SO_LINGER:
            on, seconds = int.from_bytes(value[:4], "little"), int.from_bytes(value[4:8], "little")
            file.linger = seconds if on else None
            file.options[level, option] = bytes(value)
        elif level == socket.SOL_SOCKET and option in SIZES:
            setattr(file, SIZES[option], max(2 * int(value), 4608 if option == socket.SO_SNDBUF else 2304))
        else:
            name = ATTRIBUTES.get((level, option))
            if name is not None and hasattr(file, name):
                setattr(file, name, bool(value))
            file.options[level, option] = value

    def getsockopt(self, level: int, option: int, buflen: int | None = None) -> Any:
        file = self._check()
        value: Any = None
        if level == socket.SOL_SOCKET:
            if option == socket.SO_ERROR:
                value = file.take_error()
            elif option == socket.SO_TYPE:
                value = self._type
            elif option in SIZES:
                value = getattr(file, SIZES[option])
            elif option == socket.SO_ACCEPTCONN:
                value = int(file.state == "listening")
            elif option == socket.SO_DOMAIN:
                value = self._family
        name = ATTRIBUTES.get((level, option))
        if name is not None:
            value = int(getattr(file, name, False))
        if value is None:
            value = file.options.get((level, option), 0)
        if buflen is None:
            return value
        return value if isinstance(value, bytes) else int(value).to_bytes(buflen, "little")

    # -- ending ----------------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        file = self._check()
        if how not in (0, 1, 2):
            raise failure(errno.EINVAL)
        file.shutdown(how)

    def _real_close(self, _ss: Any = None) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                self.world.files.close(fd)
            except OSError:
                pass  # by its number, before

    def detach(self) -> int:
        fd, self._fd = self._fd, -1
        self._closed = True
        return fd

    def dup(self) -> Any:
        sock = self.world.socket_type.of(self.world, self._check())
        sock._seconds = self._seconds
        return sock

    def __del__(self) -> None:
        # As the kernel does for a process, and CPython for a socket that nobody has closed.
        if getattr(self, "_fd", -1) >= 0:
            self._real_close()


def _fitting(view: memoryview, size: int) -> int:
    """How many bytes to ask for, for *view*. Raises as the socket module does, before anything is taken."""
    if view.readonly:
        raise TypeError("argument 1 must be read-write bytes-like object")
    if size < 0:
        raise ValueError("negative buffersize in recv_into")
    if size > len(view):
        raise ValueError("buffer too small for requested bytes")
    return size or len(view)
