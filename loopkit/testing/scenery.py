"""What a test does to the world: machines, the lines between them, and what fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from .escapes import deliver
from .hosts import Host
from .network import Link, Network

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .children import Child
    from .choices import Choices
    from .files import Table
    from .trace import Trace
    from .world import World


class Scenery:
    """The part of `World` that tests call: hosts, links, faults."""

    network: Network
    choices: Choices
    files: Table
    programs: dict[str, Callable[[Any], Any]]
    trace: Trace | None

    def host(self, name: str, *addresses: str, fds: int | None = None, buffers: int | None = None) -> Host:
        """The host called *name*, which is made if there is none; without *addresses* it gets some.

        Args:
            fds: how many descriptors it may have open at once.
            buffers: bytes that a socket made on it from now on holds for either direction.
        """
        known = self.network.hosts.get(name)
        if known is None:
            number = len(self.network.hosts) + 1
            known = Host(cast("World", self), name, addresses or (f"10.0.0.{number}", f"fd00::{number:x}"))
            self.network.add(known)
        if fds is not None:
            known.fd_limit = fds
        if buffers is not None:
            known.buffers = buffers
        return known

    def _host(self, host: Host | str) -> Host:
        if isinstance(host, Host):
            return host
        if host not in self.network.hosts:
            raise ValueError(f"the world has no host {host!r}; it has {', '.join(self.network.hosts)}")
        return self.network.hosts[host]

    def link(self, one: Host | str, other: Host | str, **properties: float) -> None:
        """What is between two hosts, in both directions: latency, jitter, rate, loss, duplicate, reorder.

        See `Link`. Raises ValueError if there is no such host.
        """
        one, other = self._host(one), self._host(other)
        for source, target in ((one, other), (other, one)):
            self.network.set_link(source, target, Link(**properties))

    def partition(self, one: Host | str | list[Any], other: Host | str | list[Any]) -> None:
        """Nothing gets from *one* to *other*, nor back, until `heal`. Either may be a list of hosts."""
        self._cut(one, other, True)

    def heal(self, one: Any = None, other: Any = None) -> None:
        """Undo `partition`, between these; without hosts, everywhere."""
        everything = list(self.network.hosts.values())
        self._cut(one or everything, other or everything, False)

    def _cut(self, one: Any, other: Any, is_cut: bool) -> None:
        left, right = self._hosts(one), self._hosts(other)
        names = ["+".join(host.name for host in group) for group in (left, right)]
        self.tell("fault", f"{'nothing gets' if is_cut else 'packets get'} from {names[0]} to {names[1]}")
        for a in left:
            for b in right:
                if a is not b:
                    self.network.link(a, b).is_cut = self.network.link(b, a).is_cut = is_cut

    def _hosts(self, group: Any) -> list[Host]:
        return [self._host(host) for host in (group if isinstance(group, list) else [group])]

    def reset(self, one: Host | str, other: Host | str) -> int:
        """Reset the TCP connections between two hosts; how many ends of them there were."""
        ends = {self._host(one), self._host(other)}
        file: Any
        found = []
        for file in self.files.all():
            peer: Any = getattr(file, "peer", None)
            if file.kind == "tcp" and file.state == "connected" and {file.host, peer.host} == ends:
                found.append(file)
        for file in found:
            file.on_reset()
        self.tell("fault", f"{len(found)} ends of connections between {one} and {other} reset")
        return len(found)

    def stall(self, host: Host | str, seconds: float) -> None:
        """See `Host.stall`."""
        self._host(host).stall(seconds)

    def crash(self, host: Host | str) -> None:
        """See `Host.crash`."""
        self._host(host).crash()

    def restart(self, host: Host | str) -> None:
        """See `Host.restart`."""
        self._host(host).restart()

    def signal(self, sig: int) -> None:
        """Have the program receive signal *sig*, by the handler it has set, in the loop's next turn.

        Raises `EscapedError` if it has none, and *sig* would end it.
        """
        deliver(cast("World", self), sig)

    def process(self, program: str, behaviour: Callable[[Child], Awaitable[int | None]]) -> None:
        """Have *behaviour*, a coroutine function, stand in for *program*, a path or the last part of one.

        It is called, as a task, for each process that `asyncio.create_subprocess_exec` or `_shell` makes of
        that program. Its argument has ``args``, the words of the command line, ``stdin``, an
        `asyncio.StreamReader`, and ``stdout`` and ``stderr``, an `asyncio.StreamWriter` each; what it returns
        is the return code, None is 0. A signal cancels it, and is its return code unless it returns another.
        """
        self.programs[program] = behaviour

    def behaviour_of(self, program: str) -> Callable[[Any], Any] | None:
        """What stands in for *program*; None: nothing."""
        return self.programs.get(program) or self.programs.get(os.path.basename(program))

    def tell(self, kind: str, text: str, host: str = "") -> None:
        """Note what happened, if anybody wants to know."""
        if self.trace is not None:
            self.trace.add(cast("World", self), kind, text, host=host)

    def fault(self, name: str) -> bool:
        """Whether the fault called *name* happens now: never, unless schedules are explored."""
        if not self.choices.ask("fault", 1):
            return False
        self.choices.say(f"the fault {name!r} happened")
        return True
