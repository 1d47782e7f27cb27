"""Names and addresses: getaddrinfo and getnameinfo of the local host."""

from __future__ import annotations

import asyncio
import socket

import pytest
from surface_support import Loop, run

SIMULATED = True


def test_the_local_host_has_an_address(loop: Loop) -> None:
    async def main() -> None:
        rows = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert {row[4][0] for row in rows} <= {"127.0.0.1", "::1"}
        assert {row[4][1] for row in rows} == {80}

    run(loop, main())


def test_an_address_is_its_own_name(loop: Loop) -> None:
    async def main() -> None:
        rows = await loop.getaddrinfo("127.0.0.1", None, family=socket.AF_INET)
        assert rows[0][4] == ("127.0.0.1", 0)
        name = await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
        assert name[0] == "127.0.0.1"

    run(loop, main())


def test_many_at_once(loop: Loop) -> None:
    async def main() -> None:
        await asyncio.gather(*(loop.getaddrinfo("localhost", port) for port in range(1, 50)))

    run(loop, main())


def test_what_cannot_be_resolved(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(OSError):
            await loop.getaddrinfo("127.0.0.1", None, family=socket.AF_INET6)

    run(loop, main())


def test_the_number_of_an_interface_is_kept(loop: Loop) -> None:
    async def main() -> None:
        rows = await loop.getaddrinfo("fe80::1%1", 80, type=socket.SOCK_STREAM)
        assert rows[0][4] == ("fe80::1", 80, 0, 1)

    run(loop, main())
