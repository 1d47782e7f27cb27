"""Soliloop: one asyncio event loop for live and simulated time, with nested runs.

This module only re-exports; each name has its one home in a private module beside it.
"""

from soliloop import nest
from soliloop._check import check
from soliloop._errors import (
    DeadlockError,
    HostCrashedError,
    OutsideWorldError,
    PitfallWarning,
    UnservedError,
)
from soliloop._loop import EventLoop
from soliloop._network import Host, Latency, Link
from soliloop._run import EventLoopPolicy, Runner, install, new_event_loop, run
from soliloop._simulated_loop import SimulatedLoop
from soliloop._simulation import Simulation, simulation
from soliloop._soliloop import Handle, TimerHandle

__all__ = [
    "DeadlockError",
    "EventLoop",
    "EventLoopPolicy",
    "Handle",
    "Host",
    "HostCrashedError",
    "Latency",
    "Link",
    "OutsideWorldError",
    "PitfallWarning",
    "Runner",
    "SimulatedLoop",
    "Simulation",
    "TimerHandle",
    "UnservedError",
    "check",
    "install",
    "nest",
    "new_event_loop",
    "run",
    "simulation",
]
