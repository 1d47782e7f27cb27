"""The exceptions of soliloop."""


class DeadlockError(RuntimeError):
    """Nothing can ever happen again in a simulation: no callback is ready and no timer is set.

    The message lists every pending task with what it waits for, and where.
    """


class PitfallWarning(RuntimeWarning):
    """A program does what makes asyncio programs stall, such as ``time.sleep`` in a coroutine.

    It is given at the line that does it; the message names the chain of calls, what it costs, and the way out.
    """


class OutsideWorldError(RuntimeError):
    """A simulation was asked for something of the real world: a socket, a child process, a signal."""


class HostCrashedError(RuntimeError):
    """What was awaited ran on a host of the simulation that has crashed."""


class UnservedError(ConnectionRefusedError, OutsideWorldError):
    """A name or an address was connected to that no server of the simulation has ever stood for.

    To a program it is the ``ConnectionRefusedError`` that it is prepared for.
    """
