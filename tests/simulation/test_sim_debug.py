"""asyncio's debug mode in a simulation: what holds the loop up is measured by the simulated clock."""

from __future__ import annotations

import time

import pytest
import soliloop


@pytest.mark.filterwarnings("ignore::soliloop.PitfallWarning")
def test_a_callback_that_sleeps_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with soliloop.simulation() as sim:
        sim.loop.set_debug(True)

        async def main() -> None:
            with pytest.warns(soliloop.PitfallWarning):
                time.sleep(2)

        sim.run(main())
    reports = [text for text in caplog.messages if " took " in text]
    assert len(reports) == 1
    assert reports[0].startswith("Executing <Task finished ")
    assert reports[0].endswith("took 2.000 seconds")


def test_what_computes_for_long_takes_no_time(caplog: pytest.LogCaptureFixture) -> None:
    with soliloop.simulation() as sim:
        sim.loop.set_debug(True)
        sim.loop.slow_callback_duration = 1e-9

        async def main() -> None:
            sum(range(100_000))

        sim.run(main())
    assert not [text for text in caplog.messages if " took " in text]
