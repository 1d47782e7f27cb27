"""Soliloop: one asyncio event loop for live and simulated time, with nested runs.

This module only re-exports. Each name has its one home in a module beside it, which is imported when the name is
first used: so the checker starts without asyncio.
"""

# Type checkers take this for true. The module typing, which has the same, takes as long to import as all that a check needs.
TYPE_CHECKING = False

_HOMES = {
    "DeadlockError": "soliloop._errors",
    "EventLoop": "soliloop._loop",
    "EventLoopPolicy": "soliloop._run",
    "Handle": "soliloop._soliloop",
    "Host": "soliloop._network",
    "HostCrashedError": "soliloop._errors",
    "Latency": "soliloop._network",
    "Link": "soliloop._network",
    "OutsideWorldError": "soliloop._errors",
    "PitfallWarning": "soliloop._errors",
    "Runner": "soliloop._run",
    "SimulatedLoop": "soliloop._simulated_loop",
    "Simulation": "soliloop._simulation",
    "TimerHandle": "soliloop._soliloop",
    "UnservedError": "soliloop._errors",
    "check": "soliloop._check",
    "install": "soliloop._run",
    "nest": "soliloop.nest",
    "new_event_loop": "soliloop._run",
    "run": "soliloop._run",
    "simulation": "soliloop._simulation",
}

if TYPE_CHECKING:
    from soliloop import nest as nest
    from soliloop._check import check as check
    from soliloop._errors import DeadlockError as DeadlockError
    from soliloop._errors import HostCrashedError as HostCrashedError
    from soliloop._errors import OutsideWorldError as OutsideWorldError
    from soliloop._errors import PitfallWarning as PitfallWarning
    from soliloop._errors import UnservedError as UnservedError
    from soliloop._loop import EventLoop as EventLoop
    from soliloop._network import Host as Host
    from soliloop._network import Latency as Latency
    from soliloop._network import Link as Link
    from soliloop._run import EventLoopPolicy as EventLoopPolicy
    from soliloop._run import Runner as Runner
    from soliloop._run import install as install
    from soliloop._run import new_event_loop as new_event_loop
    from soliloop._run import run as run
    from soliloop._simulated_loop import SimulatedLoop as SimulatedLoop
    from soliloop._simulation import Simulation as Simulation
    from soliloop._simulation import simulation as simulation
    from soliloop._soliloop import Handle as Handle
    from soliloop._soliloop import TimerHandle as TimerHandle
else:
    __all__ = list(_HOMES)

    def __getattr__(name: str) -> object:
        """Import a public name from its home, once."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        home = import_module(_HOMES[name])
        if name not in globals():  # `nest` is: a module is put into its package as it is imported
            globals()[name] = getattr(home, name)
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
