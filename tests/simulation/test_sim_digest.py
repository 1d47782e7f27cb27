"""The same seed is the same run: a lossy scenario of twenty hosts has one digest per seed, in every process."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
import soliloop

HOSTS = 20


def scenario(seed: int, rounds: int = 3) -> tuple[str, int]:
    """Hosts that greet each other over bad links, by streams and by datagrams; gives the digest, and how many were heard."""
    heard = 0
    with soliloop.simulation(seed=seed) as sim:
        sim.link(latency=(0.005, 0.05), jitter=0.01, loss=0.05, duplicate=0.02, reorder=0.05)

        class Ear(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: object) -> None:
                nonlocal heard
                heard += len(data)

        async def serve() -> None:
            async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    writer.write((await reader.readline()).upper())
                finally:
                    writer.close()

            loop = asyncio.get_running_loop()
            ear, _ = await loop.create_datagram_endpoint(Ear, local_addr=("0.0.0.0", 7001))
            server = await asyncio.start_server(greet, "0.0.0.0", 7000)
            try:
                await server.serve_forever()
            finally:
                ear.close()

        async def call(number: int) -> None:
            nonlocal heard
            loop = asyncio.get_running_loop()
            for _ in range(rounds):
                await asyncio.sleep(random.random())
                peer = f"host{random.randrange(HOSTS)}"
                shout, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=(peer, 7001)
                )
                shout.sendto(b"hello" * 500)
                shout.close()
                with contextlib.suppress(ConnectionError):
                    reader, writer = await asyncio.open_connection(peer, 7000)
                    try:
                        writer.write(b"from %d\n" % number)
                        heard += len(await reader.read())
                    finally:
                        writer.close()

        hosts = [sim.host(f"host{number}", boot=serve) for number in range(HOSTS)]

        async def main() -> None:
            async with asyncio.timeout(600):
                await asyncio.gather(*(host.run(call(n)) for n, host in enumerate(hosts)))

        sim.loop.call_later(1, hosts[3].crash)
        sim.loop.call_later(2, hosts[3].restart)
        try:
            sim.run(main())
        except soliloop.HostCrashedError:
            sim.run(asyncio.sleep(100))
        return sim.digest, heard


def test_runs_of_one_seed_agree() -> None:
    digests = {scenario(1) for _ in range(20)}
    assert len(digests) == 1
    assert len({scenario(seed)[0] for seed in range(20)}) == 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_runs_in_ten_processes_agree() -> None:
    outputs = {
        _in_a_process("{repr(scenario(7)) for _ in range(100)}", hashes)
        for hashes in ("random", *map(str, range(9)))
    }
    assert outputs == {f"{ {repr(scenario(7))} }\n"}


def test_processes_agree_whatever_their_hashes_are() -> None:
    outputs = {_in_a_process("scenario(5)", hashes) for hashes in ("0", "1", "4711", "random")}
    assert outputs == {f"{scenario(5)}\n"}


def _in_a_process(expression: str, hashes: str) -> str:
    """What an expression gives in a process of its own, with this PYTHONHASHSEED."""
    here = Path(__file__)
    source = f"import sys; sys.path.insert(0, {str(here.parent)!r}); from {here.stem} import *; print({expression})"
    process = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONHASHSEED": hashes, "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout
