"""Random numbers of a simulation: repeatable from its seed, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from os import urandom
from random import choice, gauss, getrandbits, randint, sample, shuffle, uniform
from random import random as draw
from typing import Any

import pytest
import soliloop
from soliloop._soliloop import Outside


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """The true generator goes on as if no simulation had been."""
    random.seed(1234)
    gauss(0, 1)  # leaves the second of a pair
    before = random.getstate()
    expected = _draws()
    random.setstate(before)
    yield
    assert type(random._inst) is random.Random  # type: ignore[attr-defined]
    assert "gauss_next" not in vars(random.Random)
    assert random.getstate() == before
    assert _draws() == expected


def _shuffled() -> list[int]:
    numbers = list(range(20))
    shuffle(numbers)
    return numbers


DRAWS: dict[str, Callable[[], Any]] = {
    "random": draw,
    "getrandbits": lambda: getrandbits(100),
    "randint": lambda: randint(1, 10**9),
    "choice": lambda: choice(range(10**6)),
    "sample": lambda: sample(range(1000), 5),
    "shuffle": _shuffled,
    "uniform": lambda: uniform(1, 2),
    "gauss": lambda: gauss(0, 1),
    "gauss again": lambda: gauss(0, 1),
    "gauss a third time": lambda: gauss(0, 1),
    "normalvariate": lambda: random.normalvariate(0, 1),
    "randbytes": lambda: random.randbytes(8),
    "choices": lambda: random.choices("abcdef", k=5),
    "expovariate": lambda: random.expovariate(1),
}


def _draws() -> dict[str, Any]:
    return {name: function() for name, function in DRAWS.items()}


def inside(function: Callable[[], Any], **options: Any) -> Any:
    with soliloop.simulation(**options):
        return function()


def test_the_same_seed_gives_the_same() -> None:
    assert inside(_draws, seed=7) == inside(_draws, seed=7)
    assert inside(_draws) == inside(_draws, seed=0)


@pytest.mark.parametrize("name", DRAWS)
def test_another_seed_gives_another(name: str) -> None:
    assert inside(_draws, seed=7)[name] != inside(_draws, seed=8)[name]


@pytest.mark.parametrize("seed", [0, 7, 2**100])
def test_it_is_what_a_generator_with_that_seed_gives(seed: int) -> None:
    mine = random.Random(seed)
    assert inside(lambda: [draw() for _ in range(10)], seed=seed) == [
        mine.random() for _ in range(10)
    ]
    random.seed(seed)
    gauss_next = random.getstate()[2]
    expected = _draws()
    assert gauss_next is None
    assert inside(_draws, seed=seed) == expected
    random.seed(1234)  # as the fixture left it
    gauss(0, 1)


def test_it_goes_on_from_run_to_run() -> None:
    async def main() -> float:
        await asyncio.sleep(1)
        return draw()

    with soliloop.simulation(seed=3) as sim:
        values = [draw(), sim.run(main()), draw(), sim.run(main())]
    mine = random.Random(3)
    assert values == [mine.random() for _ in range(4)]


def test_seed_inside() -> None:
    def numbers() -> list[float]:
        random.seed(5)
        first = draw()
        random.seed("text")
        return [first, draw()]

    one, two = random.Random(5), random.Random("text")
    assert inside(numbers, seed=1) == [one.random(), two.random()]


def test_seed_of_nothing_is_made_from_the_seed() -> None:
    def numbers() -> list[float]:
        random.seed()
        first = draw()
        random.seed(None)
        return [first, draw()]

    assert inside(numbers, seed=1) == inside(numbers, seed=1)
    assert inside(numbers, seed=1) != inside(numbers, seed=2)
    assert len(set(inside(numbers, seed=1))) == 2


def test_state_inside() -> None:
    def numbers() -> tuple[list[Any], list[Any]]:
        gauss(0, 1)
        state = random.getstate()
        first = [gauss(0, 1), draw()]
        random.setstate(state)
        return first, [gauss(0, 1), draw()]

    first, again = inside(numbers)
    assert first == again


def test_new_generators() -> None:
    class Mine(random.Random):
        pass

    def numbers() -> list[float]:
        return [random.Random().random(), random.Random().random(), Mine().random(), draw()]

    assert inside(numbers, seed=1) == inside(numbers, seed=1)
    assert len({*inside(numbers, seed=1), *inside(numbers, seed=2)}) == 8
    assert inside(numbers, seed=1)[3] == random.Random(1).random()


def test_generators_with_a_seed_are_what_they_are() -> None:
    mine = random.Random(99)
    expected = [random.Random(42).random(), *(mine.gauss(0, 1) for _ in range(4))]
    mine.seed(99)
    assert (
        inside(lambda: [random.Random(42).random(), *(mine.gauss(0, 1) for _ in range(4))])
        == expected
    )


def test_generators_of_the_outside_go_on() -> None:
    mine, twin = random.Random(99), random.Random(99)
    values = [
        mine.random(),
        inside(mine.random),
        inside(lambda: mine.gauss(0, 1)),
        mine.gauss(0, 1),
    ]
    assert values == [twin.random(), twin.random(), twin.gauss(0, 1), twin.gauss(0, 1)]


def test_nested_simulations() -> None:
    one, two = random.Random(1), random.Random(2)
    with soliloop.simulation(seed=1):
        assert draw() == one.random()
        assert gauss(0, 1) == one.gauss(0, 1)
        with soliloop.simulation(seed=2):
            assert [draw(), gauss(0, 1)] == [two.random(), two.gauss(0, 1)]
        assert [gauss(0, 1), draw()] == [one.gauss(0, 1), one.random()]


def test_a_bare_loop_inside_a_simulation() -> None:
    async def main() -> float:
        return draw()

    with soliloop.simulation(seed=1):
        loop = soliloop.SimulatedLoop()
        assert loop.run_until_complete(main()) == random.Random(1).random()
        loop.close()


def test_a_bare_loop_leaves_it_alone() -> None:
    async def main() -> tuple[float, Any]:
        value = draw()
        return value, random.getstate()

    state = random.getstate()
    loop = soliloop.SimulatedLoop()
    value, after = loop.run_until_complete(main())
    assert random.getstate() == after != state
    random.setstate(state)
    assert draw() == value
    random.setstate(state)
    loop.close()


@pytest.mark.parametrize(
    "make",
    [soliloop.SimulatedLoop, lambda seed: soliloop.new_event_loop(simulated=True, seed=seed)],
)
def test_a_bare_loop_with_a_seed(make: Callable[..., soliloop.SimulatedLoop]) -> None:
    async def main() -> list[float]:
        await asyncio.sleep(1)
        return [draw(), gauss(0, 1)]

    mine = random.Random(5)
    loop = make(seed=5)
    for _ in range(2):
        assert loop.run_until_complete(main()) == [mine.random(), mine.gauss(0, 1)]
    loop.close()


def test_without_a_seed() -> None:
    state = random.getstate()
    value = inside(draw, seed=None)
    assert random.getstate() != state
    random.setstate(state)
    assert draw() == value
    random.setstate(state)


def test_a_seed_is_for_simulated_time() -> None:
    with pytest.raises(ValueError, match="simulated=True"):
        soliloop.new_event_loop(seed=1)


@pytest.mark.parametrize("seed", ["x", 1.5, object()])
def test_what_is_no_seed(seed: Any) -> None:
    with pytest.raises(TypeError), soliloop.simulation(seed=seed):
        pass


def test_after_an_exception() -> None:
    with pytest.raises(LookupError), soliloop.simulation():
        gauss(0, 1)
        raise LookupError


# ------------------------------------------------------------------ threads


def test_other_threads_draw_from_the_true_one() -> None:
    state = random.getstate()
    seen: list[list[float]] = []

    def work() -> None:
        seen.append([gauss(0, 1), draw(), gauss(0, 1)])

    with soliloop.simulation(outside="allow"):
        gauss(0, 1)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    random.setstate(state)
    assert seen == [[gauss(0, 1), draw(), gauss(0, 1)]]
    random.setstate(state)


def test_two_threads_with_a_simulation_each() -> None:
    barrier = threading.Barrier(2, timeout=20)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            mine = random.Random(seed)
            with soliloop.simulation(seed=seed):
                for _ in range(100):
                    with Outside():
                        barrier.wait()
                    assert gauss(0, 1) == mine.gauss(0, 1)
                    assert draw() == mine.random()
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# ------------------------------------------------------------------ the system's

SYSTEM: dict[str, Callable[[], Any]] = {
    "urandom": lambda: urandom(16),
    "getrandom": lambda: os.getrandom(16),
    "uuid4": uuid.uuid4,
    "token_bytes": secrets.token_bytes,
    "token_hex": secrets.token_hex,
    "randbelow": lambda: secrets.randbelow(10**12),
    "SystemRandom": lambda: random.SystemRandom().random(),
}


@pytest.mark.parametrize("function", SYSTEM.values(), ids=SYSTEM)
def test_entropy(function: Callable[[], Any]) -> None:
    def numbers() -> list[Any]:
        return [function() for _ in range(3)]

    first = inside(numbers, seed=1, entropy=True)
    assert first == inside(numbers, seed=1, entropy=True)
    different = [
        first,
        inside(numbers, seed=2, entropy=True),
        inside(numbers, seed=-1, entropy=True),
        inside(numbers, seed=1),
        numbers(),
    ]
    assert len({value for values in different for value in values}) == 15


def test_entropy_does_not_disturb_the_module() -> None:
    def numbers() -> list[Any]:
        urandom(10)
        random.Random()
        return [draw(), gauss(0, 1)]

    mine = random.Random(1)
    assert (
        inside(numbers, seed=1, entropy=True)
        == inside(numbers, seed=1)
        == [mine.random(), mine.gauss(0, 1)]
    )


@pytest.mark.parametrize("size", [0, 1, 7, 1000, (1 << 20) - 1, (1 << 20) + 1])
def test_sizes(size: int) -> None:
    data = inside(lambda: urandom(size), entropy=True)
    assert type(data) is bytes and len(data) == size
    assert size < 10_000 or len(set(data)) == 256


@pytest.mark.parametrize("size", [-1, 1.5, "x", None, 2**70])
def test_sizes_that_are_refused(size: Any) -> None:
    with pytest.raises(Exception) as outside:
        urandom(size)
    with pytest.raises(Exception) as refused:
        inside(lambda: urandom(size), entropy=True)
    assert (refused.type, str(refused.value)) == (outside.type, str(outside.value))


def test_uuid4_is_one() -> None:
    value = inside(uuid.uuid4, entropy=True)
    assert (value.version, value.variant) == (4, uuid.RFC_4122)


def test_processes_agree() -> None:
    program = (
        "import random, soliloop, uuid\n"
        "with soliloop.simulation(seed=11, entropy=True):\n"
        "    print(random.random(), random.gauss(0, 1), random.Random().random(), uuid.uuid4())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1
