"""TLS at its edges: slow readers, interrupted runs, connections that fail while they are asked, callbacks that fail."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
from surface_support import PATIENCE, Loop, Pair, Recorder, arrived, handled, run
from tls_support import (
    VERSIONS,
    Buffered,
    OwnObject,
    Tls,
    certificate,
    connect_to_peer,
    connected,
    end,
    some,
    start_tls,
)

SIMULATED = True


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Sipper(Buffered):
    """Rests after each buffer, so that there is always something left."""

    count = 0

    def buffer_updated(self, nbytes: int) -> None:
        self.count += nbytes
        self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self.transport.resume_reading)


@pytest.mark.parametrize("marks", [None, (1 << 20, 4 << 20)], ids=["default", "wide"])
def test_a_slow_reader_keeps_no_more_than_it_has_not_read(
    loop: Loop, pair: Pair, tls: Tls, marks: tuple[int, int] | None
) -> None:
    total, chunk = 100 << 20, bytes(1 << 20)

    async def main() -> int:
        sender, _, receiver, sipper = await connected(pair, tls, Sender, Sipper)
        if marks:
            receiver.set_read_buffer_limits(low=marks[0], high=marks[1])
        before = resident_bytes()
        for _ in range(total // len(chunk)):
            sender.write(chunk)
            while sender.get_write_buffer_size() > len(chunk):
                await asyncio.sleep(0)
        while sipper.count < total:
            await asyncio.sleep(0)
        grown = resident_bytes() - before
        await end(sender.get_protocol(), sipper)
        return grown

    assert run(loop, main()) < 50 << 20


class Sender(Recorder):
    """Only writes."""


class Interrupted(Recorder):
    """The first data brings Ctrl-C."""

    def data_received(self, data: bytes) -> None:
        is_first = not self.data
        super().data_received(data)
        if is_first:
            raise KeyboardInterrupt


class InterruptedInBuffer(Buffered):
    size = 1000

    def buffer_updated(self, nbytes: int) -> None:
        is_first = not self.data
        super().buffer_updated(nbytes)
        if is_first:
            raise KeyboardInterrupt


# asyncio's leaves the rest of what was paused where it is.
@pytest.mark.parametrize("protocol", [Interrupted, InterruptedInBuffer])
def test_an_interrupted_run_goes_on_where_it_was(
    our_loop: soliloop.EventLoop, pair: Pair, tls: Tls, protocol: Any
) -> None:
    data = some(2_000_000)
    transport, received, peer = run(our_loop, connect_to_peer(pair, tls, protocol=protocol))

    async def send() -> None:
        transport.pause_reading()
        sending = asyncio.create_task(peer.write(data))
        await asyncio.sleep(0.05)
        transport.resume_reading()
        await sending

    task = our_loop.create_task(send())
    with pytest.raises(KeyboardInterrupt):
        our_loop.run_until_complete(asyncio.wait_for(asyncio.shield(task), PATIENCE))
    run(our_loop, arrived(received, len(data)))
    assert received.data == data
    run(our_loop, asyncio.wait_for(task, PATIENCE))
    transport.abort()
    run(our_loop, asyncio.wait_for(received.ended, PATIENCE))


class Asked(Recorder):
    """Looks at the certificate when all is lost."""

    certificate: Any = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.certificate = self.transport.get_extra_info("peercert")
        super().connection_lost(exc)


def test_the_peers_certificate_is_known_when_the_connection_has_failed(
    loop: Loop, pair: Pair, tls: Tls
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(pair, tls, protocol=Asked)
        known = transport.get_extra_info("peercert")
        damaged = bytearray(peer.records(b"never read"))
        damaged[-1] ^= 1
        await peer.send(bytes(damaged))
        assert isinstance(await protocol.ended, ssl.SSLError)
        assert known["subject"] and protocol.certificate == known

    run(loop, main())


def test_a_certificate_that_is_refused_after_the_handshake(
    loop: Loop, pair: Pair, tls: Tls
) -> None:
    tls.limited_to(VERSIONS["1.3"])
    tls.server.load_verify_locations(certificate("pycacert.pem"))
    tls.server.verify_mode = ssl.CERT_REQUIRED
    tls.server.post_handshake_auth = tls.client.post_handshake_auth = True
    tls.client.load_cert_chain(certificate("keycert.pem"))

    async def main() -> None:
        client, receiver, server, protocol = await connected(pair, tls)
        server.get_extra_info("ssl_object").verify_client_post_handshake()
        server.write(b"who are you")
        await arrived(receiver, 11)
        client.write(b"somebody")
        error = await protocol.ended
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert error.verify_code and "self-signed" in error.verify_message.replace(" ", "-")
        assert error.reason == "CERTIFICATE_VERIFY_FAILED"
        await receiver.ended

    run(loop, main())


def test_aborting_while_it_is_encrypted(loop: Loop, pair: Pair, tls: Tls) -> None:
    call: list[Callable[[], None]] = []

    class Aborting(OwnObject):
        def write(self, data: Any) -> int:
            while call:
                call.pop()()
            return super().write(data)

    tls.client.sslobject_class = Aborting

    async def main() -> None:
        transport, protocol, _ = await connect_to_peer(pair, tls)
        call.append(transport.abort)
        transport.write(b"never sent")
        assert transport.get_write_buffer_size() == 0
        assert await protocol.ended is None
        assert "pause" not in protocol.told

    run(loop, main())


def test_a_callback_of_the_context_that_fails(loop: Loop, pair: Pair, tls: Tls) -> None:
    failing: list[object] = []

    def callback(_: Any, direction: str, *__: Any) -> None:
        if failing and direction == "read":
            raise ZeroDivisionError

    # Private, and all the same what debuggers of TLS use.
    tls.client._msg_callback = callback  # type: ignore[attr-defined]

    async def main() -> weakref.ref[Any]:
        _, protocol, peer = await connect_to_peer(pair, tls)
        failing.append(True)
        await peer.write(b"read with an error")
        assert isinstance(await protocol.ended, ZeroDivisionError)
        return weakref.ref(protocol)

    with handled(loop) as contexts:
        protocol = run(loop, main())
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
    contexts.clear()
    gc.collect()
    assert protocol() is None


class Wire(asyncio.Transport):
    """A transport of somebody's own: half of a pair in memory."""

    _start_tls_compatible = True

    def __init__(self, protocol: Any, made_of: Any) -> None:
        super().__init__()
        self.protocol, self.made_of = protocol, made_of
        self.is_closed = False
        self.waiting: list[Any] | None = None
        self.other: Wire

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def write(self, data: Any) -> None:
        asyncio.get_running_loop().call_soon(self.other.feed, self.made_of(data))

    def feed(self, data: Any) -> None:
        if self.waiting is not None:
            self.waiting.append(data)
        elif isinstance(self.protocol, asyncio.BufferedProtocol):
            buffer: Any = self.protocol.get_buffer(len(data))
            buffer[: len(data)] = data
            self.protocol.buffer_updated(len(data))
        else:
            self.protocol.data_received(data)

    def pause_reading(self) -> None:
        self.waiting = []

    def resume_reading(self) -> None:
        waiting, self.waiting = self.waiting or [], None
        for data in waiting:
            self.feed(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.protocol.connection_lost, None)
            loop.call_soon(self.other.end)

    abort = close

    def end(self) -> None:
        if not self.is_closed and not self.protocol.eof_received():
            self.close()


@pytest.mark.parametrize("made_of", [bytes, bytearray, memoryview])
def test_over_a_transport_of_ones_own(loop: Loop, tls: Tls, made_of: Any) -> None:
    async def main() -> None:
        near, far = Recorder(), Recorder()
        wires = Wire(near, made_of), Wire(far, made_of)
        wires[0].other, wires[1].other = wires[1], wires[0]
        near.connection_made(wires[0])
        far.connection_made(wires[1])
        near.transport, far.transport = await asyncio.gather(
            start_tls(wires[0], near, tls, "client"), start_tls(wires[1], far, tls, "server")
        )
        data = some(100_000)
        near.transport.write(data)
        await arrived(far, len(data))
        assert far.data == data
        await end(near, far)

    run(loop, main())


class Nibbler(Buffered):
    size = 1


def test_small_buffers_leave_others_their_turns(loop: Loop, pair: Pair, tls: Tls) -> None:
    count = 20_000

    async def main() -> int:
        transport, protocol, peer = await connect_to_peer(pair, tls, protocol=Nibbler)
        transport.pause_reading()
        await peer.write(bytes(count))
        await asyncio.sleep(0.05)
        transport.resume_reading()
        turns = 0
        while len(protocol.data) < count:
            await asyncio.sleep(0)
            turns += 1
        transport.abort()
        await protocol.ended
        return turns

    assert run(loop, main()) > 100


def test_an_upgrade_of_a_transport_that_is_lost(loop: Loop, pair: Pair, tls: Tls) -> None:
    async def main() -> weakref.ref[Any]:
        plain, protocol = await asyncio.get_running_loop().create_connection(Recorder, sock=pair[0])
        plain.abort()
        with contextlib.suppress(ConnectionError):  # asyncio's returns
            await start_tls(plain, protocol, tls, "client")
        await asyncio.sleep(0)
        assert protocol.told == ["made", "lost"]
        return weakref.ref(plain)

    run(loop, main())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_transport_may_be_collected_after_its_loop(
    our_loop: soliloop.EventLoop, pair: Pair, tls: Tls
) -> None:
    unraisable: list[Any] = []

    async def main() -> weakref.ref[Any]:
        transport, protocol = await connect_plain(pair)
        protocol.ring = protocol, transport
        return weakref.ref(protocol)

    async def connect_plain(pair: Pair) -> tuple[Any, Any]:
        return await our_loop.create_connection(Recorder, sock=pair[0].dup())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", unraisable.append)
        protocol = run(our_loop, main())
        our_loop.close()
        gc.collect()
    assert protocol() is None
    assert [problem.exc_value for problem in unraisable] == []
