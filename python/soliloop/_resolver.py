"""Names of a simulation: what the functions of the module ``socket`` answer inside one (Python docs, "socket").

The table of hosts is the network's. As long as no host was added any name is known.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from soliloop._errors import UnservedError
from soliloop._host import current_host
from soliloop._loop import EventLoop
from soliloop._soliloop import Network, Outside

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_VERSIONS: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 6}
_KINDS = ((socket.SOCK_STREAM, 6), (socket.SOCK_DGRAM, 17))


class Resolving(EventLoop):
    """The part of a simulated loop that knows names. The intercepted functions call it, with their own arguments."""

    _reaches_out: bool

    @property
    def _network(self) -> Network:
        raise NotImplementedError

    def _getaddrinfo(
        self,
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the function's own name for it
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[int, int, int, str, tuple[Any, ...]]]:
        number = _port(port)
        if host is None:
            passive = flags & socket.AI_PASSIVE
            names = ["0.0.0.0", "::"] if passive else ["127.0.0.1", "::1"]
        else:
            if number is None:
                number = 0
            if self._reaches_out and not self._knows(_text(host), flags):
                with Outside():
                    return _socket.getaddrinfo(host, port, family, type, proto, flags)
            names = self._addresses(_text(host), flags, _VERSIONS.get(family))
        if number is None:
            raise _error(socket.EAI_NONAME, "Name or service not known: neither a host nor a port")
        scope = _scope(_text(host)) if host is not None else 0
        canonical = _text(host) if host is not None and flags & socket.AI_CANONNAME else ""
        kinds = [
            (kind, protocol)
            for kind, protocol in _KINDS
            if type in (0, kind) and proto in (0, protocol)
        ]
        if type and not kinds:
            raise _error(socket.EAI_SOCKTYPE, "ai_socktype not supported")
        found: list[tuple[int, int, int, str, tuple[Any, ...]]] = []
        for name in names:
            address = _parsed(name.partition("%")[0])
            own = socket.AF_INET if address.version == 4 else socket.AF_INET6
            if family not in (0, own):
                continue
            place: tuple[Any, ...] = (str(address), number)
            if own == socket.AF_INET6:
                place += (0, scope)
            found.extend((int(own), int(kind), proto, canonical, place) for kind, proto in kinds)
        if not found:
            text = f"{host!r} has no address of the family that was asked for"
            raise _error(socket.EAI_ADDRFAMILY, text)
        return found

    def _knows(self, name: str, flags: int) -> bool:
        """Whether a name is the simulation's: a server's own always is."""
        return bool(flags & socket.AI_PASSIVE) or not name or self._network.knows(name)

    def _addresses(self, name: str, flags: int = 0, version: int | None = None) -> list[str]:
        if not name:
            return ["0.0.0.0", "::"] if flags & socket.AI_PASSIVE else ["127.0.0.1", "::1"]
        try:
            return [str(_parsed(name.partition("%")[0]))]
        except ValueError:
            if flags & socket.AI_NUMERICHOST:
                raise _error(
                    socket.EAI_NONAME, f"Name or service not known: {name!r} is no address"
                ) from None
        addresses = self._network.resolve(name, version)
        if not addresses and not self._network.resolve(name):
            raise self._unknown_name_error(name)
        return addresses

    def _getnameinfo(self, sockaddr: tuple[Any, ...], flags: int) -> tuple[str, str]:
        host, port = sockaddr[:2]
        try:
            address = str(_parsed(host))
        except ValueError:
            raise _error(socket.EAI_NONAME, f"Name or service not known: {host!r}") from None
        name = None if flags & socket.NI_NUMERICHOST else self._network.name_of(address)
        if name is None and flags & socket.NI_NAMEREQD:
            raise _error(socket.EAI_NONAME, f"Name or service not known: {host!r} has no name")
        service = str(port)
        if not flags & socket.NI_NUMERICSERV:
            with contextlib.suppress(OSError):
                service = socket.getservbyport(port, "udp" if flags & socket.NI_DGRAM else "tcp")
        return name or address, service

    def _gethostbyname(self, name: Any) -> str:
        return next(self._v4(_text(name)))

    def _gethostbyname_ex(self, name: Any) -> tuple[str, list[str], list[str]]:
        return _text(name), [], list(self._v4(_text(name)))

    def _gethostbyaddr(self, name: Any) -> tuple[str, list[str], list[str]]:
        address = self._addresses(_text(name))[0]
        known = self._network.name_of(address)
        if known is None:
            raise socket.herror(1, "Unknown host")
        return known, [], [address]

    def _gethostname(self) -> str:
        return self._network.hosts()[current_host()]

    def _v4(self, name: str) -> Iterator[str]:
        found = [
            address for address in self._addresses(name, version=4) if _parsed(address).version == 4
        ]
        if not found:
            raise _error(socket.EAI_ADDRFAMILY, f"{name!r} has no address of IP version 4")
        yield from found

    def _unknown_name_error(self, name: str) -> socket.gaierror:
        known = ", ".join(self._network.hosts()[1:])
        return _error(
            socket.EAI_NONAME,
            f"Name or service not known: the simulation has no host {name!r} (it has {known})",
        )

    def _refused_error(self, address: Any) -> OSError:
        """The error of a connection that nobody takes. Where no server was ever meant to be, it says that this is a simulation."""
        if not isinstance(address, tuple) or not self._network.is_open():
            return ConnectionRefusedError(111, f"Connect call failed {address}")
        host, port = address[:2]
        name = self._network.name_of(self._addresses(_text(host))[0]) or host
        if name in ("localhost", "main"):
            return ConnectionRefusedError(111, f"Connect call failed {address}")
        return UnservedError(
            111,
            f"Connection refused: nobody listens on {name}:{port} in this simulation, which does not reach "
            "the real world; start a server of that name inside it",
        )


def _parsed(address: str) -> IPv4Address | IPv6Address:
    """An address from its text; ``ValueError`` if it is none."""
    # Here, as few simulations ask: to import it takes a seventh of the time that the package takes.
    from ipaddress import ip_address

    return ip_address(address)


def _error(number: int, text: str) -> socket.gaierror:
    return socket.gaierror(number, text)


def _text(name: Any) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, bytes | bytearray):
        return bytes(name).decode()
    raise TypeError("getaddrinfo() argument 1 must be string or None")


def _scope(name: str) -> int:
    """The number of the interface in an address such as ``fe80::1%2``. Interfaces of a simulation have no names."""
    number = name.partition("%")[2]
    return int(number) if number.isdecimal() else 0


def _port(port: Any) -> int | None:
    if port is None:
        return None
    if isinstance(port, int):
        return port
    text = _text(port)
    if not text:
        return 0
    if text.isdecimal():
        return int(text)
    try:
        return socket.getservbyname(text)
    except OSError:
        raise _error(socket.EAI_SERVICE, "Servname not supported for ai_socktype") from None
