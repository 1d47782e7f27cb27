"""Helpers of the TLS tests: contexts, transports over a socket, and a peer whose records the test holds in its hands.

Certificates are those of CPython's own tests: `keycert3` is "localhost" and `keycert4` "fakehostname", of the authority
`pycacert`; `keycert` signed itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import pytest
from soliloop._soliloop import Outside
from surface_support import Loop, Pair, Recorder, handled, run

HOST = "127.0.0.1"
NAME = "localhost"
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
_T = TypeVar("_T")


class Tls(NamedTuple):
    """The contexts of both sides. A test may change them: they are its own."""

    server: ssl.SSLContext
    client: ssl.SSLContext

    def limited_to(self, version: ssl.TLSVersion) -> Tls:
        for context in self:
            context.minimum_version = context.maximum_version = version
        return self


class OwnObject(ssl.SSLObject):
    """What a context makes instead of an `ssl.SSLObject`, where somebody derived from it."""


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def certificate(name: str) -> str:
    """A file of the package `test`: in a folder of its own since Python 3.12."""
    import test  # type: ignore[import-not-found]  # not every Python has it

    for directory in test.__path__:
        for path in (Path(directory, "certdata", name), Path(directory, name)):
            if path.exists():
                return str(path)
    pytest.fail(f"Python's test package has no {name}")


def new_contexts(chain: str | Path = "keycert3.pem") -> Tls:
    """A server with this certificate, and a client that believes the authority and looks at the name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain if isinstance(chain, Path) else certificate(chain))
    return Tls(server, ssl.create_default_context(cafile=certificate("pycacert.pem")))


def contexts_of(kind: str) -> Tls:
    """The contexts for a version of TLS, or with an object class of one's own."""
    tls = new_contexts()
    if kind in VERSIONS:
        return tls.limited_to(VERSIONS[kind])
    for context in tls:
        context.sslobject_class = OwnObject
    return tls


def expired_certificate(directory: Path) -> Path:
    """A certificate for "localhost" of the tests' authority, with its key, that was good until yesterday."""
    if not shutil.which("openssl"):
        pytest.skip("needs the command `openssl`")
    chain, request = directory / "expired.pem", directory / "request.pem"
    key = certificate("keycert3.pem")
    authority = ["-CA", certificate("pycacert.pem"), "-CAkey", certificate("pycakey.pem")]
    for arguments in (
        ["req", "-new", "-key", key, "-subj", f"/CN={NAME}", "-out", str(request)],
        ["x509", "-req", "-in", str(request), *authority, "-set_serial", "1", "-days", "-1"],
    ):
        with Outside():
            done = subprocess.run(
                ["openssl", *arguments], check=True, capture_output=True, text=True
            )
    private = Path(key).read_text().partition("Certificate:")[0]
    chain.write_text(private + done.stdout)
    return chain


def run_quietly(loop: Loop, main: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end, with nothing for the exception handler."""
    with handled(loop) as contexts:
        result = run(loop, main)
    assert contexts == []
    return result


def opposite(side: str) -> str:
    return SIDES[SIDES.index(side) - 1]


KINDS = [*VERSIONS, "own object"]
SIDES = ["client", "server"]


class Buffered(Recorder, asyncio.BufferedProtocol):
    """A recorder that lends buffers of one size."""

    size = 16384
    made_of: Callable[[bytearray], Any] = memoryview

    def __init__(self) -> None:
        super().__init__()
        self.data: Any = bytearray()

    def get_buffer(self, sizehint: int) -> Any:
        self.lent = bytearray(self.size)
        return type(self).made_of(self.lent)

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= self.size
        self.data += self.lent[:nbytes]


def buffered(size: int, made_of: Callable[[bytearray], Any] = memoryview) -> type[Buffered]:
    """A class of protocols that lend buffers of this size."""
    return type("Sized", (Buffered,), {"size": size, "made_of": staticmethod(made_of)})


def some(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.0005)


SIZES = {1: 2000, 100: 50_000, 16_384: 1_000_000, 300_000: 3_000_000}
READERS: dict[str, Any] = {
    "protocol": Recorder,
    **{f"buffers of {size}": buffered(size) for size in SIZES},
}


async def connect(
    sock: socket.socket, tls: Tls, side: str = "client", protocol: Any = Recorder, **options: Any
) -> tuple[Any, Any]:
    """A transport over a connected socket, at either side of TLS."""
    loop = asyncio.get_running_loop()
    if side == "server":
        return await loop.connect_accepted_socket(protocol, sock, ssl=tls.server, **options)
    options.setdefault("server_hostname", NAME)
    return await loop.create_connection(protocol, sock=sock, ssl=tls.client, **options)


async def connected(
    pair: Pair, tls: Tls, near: Any = Recorder, far: Any = Recorder
) -> tuple[Any, Any, Any, Any]:
    """Both ends on this loop: the client's transport and protocol, then the server's."""
    ends = await asyncio.gather(
        connect(pair[0], tls, "client", near), connect(pair[1], tls, "server", far)
    )
    return (*ends[0], *ends[1])


async def start_tls(transport: Any, protocol: Any, tls: Tls, side: str) -> Any:
    """Upgrade a transport at either side of TLS."""
    context, name = (tls.server, None) if side == "server" else (tls.client, NAME)
    return await asyncio.get_running_loop().start_tls(
        transport, protocol, context, server_side=side == "server", server_hostname=name
    )


async def end(near: Recorder, *others: Recorder) -> None:
    """Close the first, and see that every side ends without an error."""
    near.transport.close()
    for protocol in (near, *others):
        assert await protocol.ended is None


async def echo(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def serving(protocol: Any, context: ssl.SSLContext, **options: Any) -> AsyncIterator[Any]:
    """The address of a server on loopback; at the end it is closed, and its connections are awaited."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, HOST, 0, ssl=context, **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await server.wait_closed()


def reset(sock: socket.socket) -> None:
    """Close so that the other side is told of a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


async def closed(sock: socket.socket) -> None:
    """Wait until a transport has closed its socket."""
    while sock.fileno() != -1:
        await asyncio.sleep(0)


async def ended(sock: socket.socket) -> bytes:
    """What still comes out of a socket, until its stream ends in any way."""
    loop = asyncio.get_running_loop()
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(sock, 65536):
            received += data
    return received


class Peer:
    """TLS by hand: records wait in `outgoing` until the test sends them, or something else."""

    def __init__(self, sock: socket.socket, tls: Tls, side: str) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = tls.server if side == "server" else tls.client
        name = None if side == "server" else NAME
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=side == "server", server_hostname=name
        )

    async def send(self, data: bytes = b"") -> None:
        """Send what waits, and this after it."""
        if data := self.outgoing.read() + data:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def do(self, call: Callable[..., _T], *args: Any) -> _T:
        """Call a method of the TLS object; whatever it wants to read is received, and what it says stays here."""
        while True:
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                await self.send()
            data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()

    async def handshake(self) -> None:
        await self.do(self.tls.do_handshake)
        await self.send()

    async def write(self, data: bytes) -> None:
        self.tls.write(data)
        await self.send()

    async def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := await self.do(self.tls.read, count - len(data))):
            data += more
        return data

    async def unwrap(self) -> None:
        """Say that this is the end, and wait until the other side says so."""
        await self.do(self.tls.unwrap)
        await self.send()

    def records(self, data: bytes) -> bytes:
        """What `write` would send."""
        self.tls.write(data)
        return self.outgoing.read()

    def last_words(self, data: bytes = b"") -> bytes:
        """The records of the data, and of the end of the stream."""
        if data:
            self.tls.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()


async def connect_to_peer(
    pair: Pair, tls: Tls, side: str = "client", protocol: Any = Recorder, **options: Any
) -> tuple[Any, Any, Peer]:
    """A transport of one side over the near socket, and the other side by hand over the far one."""
    peer = Peer(pair[1], tls, opposite(side))
    (transport, made), _ = await asyncio.gather(
        connect(pair[0], tls, side, protocol, **options), peer.handshake()
    )
    return transport, made, peer
