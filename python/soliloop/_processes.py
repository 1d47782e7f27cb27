"""Child processes: their end is an event of a descriptor (``os.pidfd_open``), so they need neither threads nor signals.

Starting them, their transports and pipes' protocols are asyncio's. A watcher of children that the program has set in the policy of
asyncio (deprecated, gone in Python 3.14) is asked as asyncio would.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import unix_events
from asyncio.log import logger
from typing import Any

# Not in the type stubs of the standard library.
_unix: Any = unix_events


class ProcessMaking(asyncio.SelectorEventLoop):
    """The part of the loop that makes child processes."""

    async def _make_subprocess_transport(
        self: Any,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **options: Any,
    ) -> Any:
        if _programs_watcher() is not None:
            return await super()._make_subprocess_transport(  # type: ignore[misc]
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **options
            )
        waiter = self.create_future()
        transport = self._start_process(
            protocol,
            args,
            shell,
            stdin,
            stdout,
            stderr,
            bufsize,
            waiter=waiter,
            extra=extra,
            **options,
        )
        try:
            self._watch_child(transport.get_pid(), transport)
        except OSError:
            # No such call here, no more descriptors, or somebody else was told of the end already: a thread finds out.
            handler = self._child_watcher_callback
            _ThreadWatcher().add_child_handler(transport.get_pid(), handler, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport

    def _start_process(self, *args: Any, **options: Any) -> Any:
        """Start a child process; return its transport."""
        return _unix._UnixSubprocessTransport(self, *args, **options)

    def _status_was_taken(self, transport: Any) -> None:
        """A child has ended, and its status was asked for before: by ``close()`` of its transport, or by somebody who kept it."""
        status = transport._proc.returncode
        if status is None:
            status = 255
            logger.warning(
                "child process pid %d exit status already read: will report returncode 255",
                transport.get_pid(),
            )
        transport._process_exited(status)


def _programs_watcher() -> object:
    """What the program has set to watch its children, unless that is what asyncio would have chosen itself."""
    if sys.version_info >= (3, 14):
        return None
    policy: Any = asyncio.get_event_loop_policy()
    getter = type(policy).get_child_watcher
    if getter is asyncio.AbstractEventLoopPolicy.get_child_watcher:
        return None
    if getter is not asyncio.DefaultEventLoopPolicy.get_child_watcher:
        watcher: object = policy.get_child_watcher()
        return watcher
    return None if type(policy._watcher) in _ASYNCIOS else policy._watcher


_ThreadWatcher: Any = getattr(_unix, "ThreadedChildWatcher", None) or _unix._ThreadedChildWatcher
_ASYNCIOS = {type(None), _ThreadWatcher}
if sys.version_info >= (3, 12) and hasattr(_unix, "PidfdChildWatcher"):
    # Before, it worked for the one loop that it was attached to.
    _ASYNCIOS.add(_unix.PidfdChildWatcher)
