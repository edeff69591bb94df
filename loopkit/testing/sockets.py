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
from .files import copied, fail_if, failure, in_bytes
from .streams import UnixStream
from .tcp import Tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .world import World

__all__ = ["SimSocket"]

INTERNET = (socket.AF_INET, socket.AF_INET6)

#: What a family and a type make.
KINDS: dict[tuple[int, int], Any] = {
    (socket.AF_INET, socket.SOCK_STREAM): Tcp,
    (socket.AF_INET6, socket.SOCK_STREAM): Tcp,
    (socket.AF_INET, socket.SOCK_DGRAM): Udp,
    (socket.AF_INET6, socket.SOCK_DGRAM): Udp,
    (socket.AF_UNIX, socket.SOCK_STREAM): UnixStream,
    (socket.AF_UNIX, socket.SOCK_DGRAM): UnixDatagrams,
}

#: As plain numbers: an IntFlag's ``&`` costs as much as the call it is in.
PEEK, DONTWAIT = int(socket.MSG_PEEK), int(socket.MSG_DONTWAIT)


def _linger(value: bytes) -> bytes:
    return bool(int.from_bytes(value[:4], "little")).to_bytes(4, "little") + value[4:8]


#: Options that are an attribute of the open file, and what setting them makes of the value; None: nobody can.
OPTIONS: dict[tuple[int, int], tuple[str, Callable[[Any], Any] | None]] = {
    (socket.SOL_SOCKET, socket.SO_REUSEADDR): ("reuses_address", bool),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT): ("reuses_port", bool),
    (socket.SOL_SOCKET, socket.SO_BROADCAST): ("may_broadcast", bool),
    (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY): ("is_v6only", bool),
    (socket.SOL_SOCKET, socket.SO_SNDBUF): ("send_size", lambda size: max(2 * size, 4608)),
    (socket.SOL_SOCKET, socket.SO_RCVBUF): ("receive_size", lambda size: max(2 * size, 2304)),
    (socket.SOL_SOCKET, socket.SO_LINGER): ("linger", _linger),
    (socket.SOL_SOCKET, socket.SO_TYPE): ("type", None),
    (socket.SOL_SOCKET, socket.SO_DOMAIN): ("family", None),
    (socket.SOL_SOCKET, socket.SO_ACCEPTCONN): ("is_listening", None),
    (socket.SOL_SOCKET, socket.SO_ERROR): ("error", None),
}


class SimSocket(socket.socket):
    """A socket of a simulated kernel."""

    __slots__ = ("_fd", "_proto", "_seconds", "file", "world")

    world: World
    file: Any

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> None:
        loop = outside.simulation()
        if loop is None:
            raise RuntimeError("a simulated socket is made while a simulation runs")
        self.world = loop.world
        self._io_refs, self._closed, self._fd = 0, False, -1
        self._proto = 0 if proto == -1 else proto
        if fileno is None:
            family = socket.AF_INET if family == -1 else family
            type = socket.SOCK_STREAM if type == -1 else type
            file = self._make(family, type & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC))
            fileno = self.world.files.install(file)
        self.file, self._fd = self.world.files.file(fileno), fileno
        self._seconds: float | None = socket.getdefaulttimeout()

    def _make(self, family: int, kind: int) -> Any:
        if (family, kind) in KINDS:
            return KINDS[family, kind](outside.current_host(self.world), int(family))
        raise EscapedError(
            f"sockets of family {family} and type {kind} are not simulated; TCP, UDP, and Unix streams and "
            "datagrams are. With real_sockets() this one is real"
        )

    # -- what it is ------------------------------------------------------------------------------------------

    @property
    def family(self) -> Any:
        return socket.AddressFamily(self.file.family)

    @property
    def type(self) -> Any:
        return self.file.type

    @property
    def proto(self) -> Any:
        return self._proto

    @property
    def timeout(self) -> float | None:
        return self._seconds

    def fileno(self) -> int:
        return self._fd

    def __repr__(self) -> str:
        text = f"<socket.socket {'[closed] ' if self._fd < 0 else ''}fd={self._fd}, family={self.file.family}"
        if self._fd >= 0:
            text += f", type={int(self.type)}, proto={self._proto}, simulated: {self.file.tell()}"
        return f"{text}>"

    def gettimeout(self) -> float | None:
        return self._seconds

    def settimeout(self, value: Any) -> None:
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._check().blocks = value is None
        self._seconds = None if value is None else float(value)

    def setblocking(self, flag: Any) -> None:
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        return self._seconds != 0.0

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
        family = self.file.family
        if family not in INTERNET:
            return address
        if not isinstance(address, tuple):
            raise TypeError(f"{self.family.name} address must be tuple, not {type(address).__name__}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError("'str' object cannot be interpreted as an integer")
        if not 0 <= port <= 65535:
            raise OverflowError("port must be 0-65535.")
        if host == "":
            return ("::" if family == socket.AF_INET6 else "0.0.0.0", *address[1:])
        if host == "<broadcast>":
            return ("255.255.255.255", port)
        return self.world.network.resolve(host, port, family, self.file.type)[0][4]

    def bind(self, address: Any) -> None:
        self._check().bind(self._resolved(address))

    def listen(self, backlog: int = 128) -> None:
        self._check().listen(backlog)

    def connect(self, address: Any) -> None:
        file = self._check()
        address = self._resolved(address)
        if self._seconds == 0.0 or file.kind != "tcp":
            self._wait(file.connect, address)
            return
        try:
            file.connect(address)
        except BlockingIOError as exc:
            if exc.errno != errno.EINPROGRESS:
                raise
        self.world.blocked(lambda: self._connected(file), self._seconds)

    def _connected(self, file: Any) -> None:
        fail_if(file.state == "connecting", errno.EAGAIN)
        if file.progress == "connecting":
            file.connect(file.remote)

    def connect_ex(self, address: Any) -> int:
        try:
            self.connect(address)
        except socket.gaierror:
            raise
        except OSError as exc:
            return exc.errno or errno.EAGAIN
        return 0

    def accept(self) -> tuple[socket.socket, Any]:
        file = self._check()
        fail_if(file.host.is_out_of_fds, errno.EMFILE)
        client, address = self._wait(file.accept, self._seconds is None)
        return self._of(client), address

    def _of(self, file: Any) -> Any:
        """Another socket, on a new descriptor for *file*."""
        return self.world.socket_type(fileno=self.world.files.install(file))

    def getsockname(self) -> Any:
        return self._check().local

    def getpeername(self) -> Any:
        return self._check().peername()

    # -- data ------------------------------------------------------------------------------------------------

    def recv(self, bufsize: int, flags: int = 0) -> Any:
        if flags or bufsize <= 0:
            return SimSocket.recvfrom(self, bufsize, flags)[0]
        return self._wait(self.file.recv, bufsize)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return SimSocket.recvfrom_into(self, buffer, nbytes, flags)[0]

    def recvfrom(self, bufsize: int, flags: int = 0) -> Any:
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        if not bufsize and self.file.type == socket.SOCK_STREAM:
            return b"", None
        if flags & DONTWAIT:
            return self._check().recvfrom(bufsize, bool(flags & PEEK))
        return self._wait(self.file.recvfrom, bufsize, bool(flags & PEEK))

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        with in_bytes(buffer) as view:
            data, address = SimSocket.recvfrom(self, _fitting(view, nbytes), flags)
            view[: len(data)] = data
            return len(data), address

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> Any:
        data, address = self.recvfrom(bufsize, flags)
        return data, [], 0, address

    def send(self, data: Any, flags: int = 0) -> Any:
        return self._wait(self.file.send, copied(data))

    def sendmsg(self, buffers: Iterable[Any], ancdata: Any = (), flags: int = 0, address: Any = None) -> Any:
        data = b"".join(buffers)
        return SimSocket.send(self, data) if address is None else SimSocket.sendto(self, data, address)

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(copied(data))  # of our own copy: what is left of it is not copied again
        while rest:
            rest = rest[self._wait(self.file.send, rest) :]

    def sendto(self, data: Any, *rest: Any) -> Any:
        if not rest:
            raise TypeError("sendto() takes 2 or 3 arguments (1 given)")
        if self.file.type == socket.SOCK_STREAM:
            return SimSocket.send(self, data)
        return self._wait(self.file.sendto, copied(data), self._resolved(rest[-1]))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined,no-any-return]

    # -- options ---------------------------------------------------------------------------------------------

    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        file = self._check()
        if isinstance(value, (bytes, bytearray)) and len(value) == 4:
            value = int.from_bytes(value, "little")
        name, convert = OPTIONS.get((level, option), ("", None))
        if convert is not None:
            setattr(file, name, convert(value))
        else:
            fail_if(name, errno.ENOPROTOOPT)
            file.options[level, option] = value if isinstance(value, int) else bytes(value)

    def getsockopt(self, level: int, option: int, buflen: int | None = None) -> Any:
        file = self._check()
        name, _ = OPTIONS.get((level, option), ("", None))
        value = getattr(file, name) if name else file.options.get((level, option), 0)
        if name == "error":
            file.error = 0
        raw = value if isinstance(value, bytes) else int(value).to_bytes(4, "little", signed=True)
        return int.from_bytes(raw[:4], "little", signed=True) if buflen is None else raw[:buflen]

    # -- ending ----------------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        file = self._check()
        fail_if(how not in (0, 1, 2), errno.EINVAL)
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
        sock = self._of(self._check())
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
