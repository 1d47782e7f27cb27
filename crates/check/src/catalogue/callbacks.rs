//! What functions of other libraries do with functions that they are handed.

use super::Handed::{self, Calls, Elsewhere, Iterates, OnLoop};

pub(super) const HANDED: &[(&str, Handed)] = &[
    ("sorted min max itertools.groupby heapq.nsmallest heapq.nlargest list().sort", Calls(1000, "key")),
    ("list().sort", Calls(1000, "key")),
    ("map filter functools.reduce itertools.takewhile itertools.dropwhile itertools.starmap itertools.filterfalse", Calls(0, "function")),
    ("re.sub re.subn", Calls(1, "repl")),
    ("contextlib.ExitStack().callback", Calls(0, "callback")),
    (
        "list tuple set frozenset dict sorted sum min max any all enumerate zip reversed next iter map filter str().join
         itertools.chain itertools.islice functools.reduce collections.deque collections.Counter bytes bytearray",
        Iterates(0),
    ),
    ("zip itertools.chain map filter functools.reduce", Iterates(1)),
    (
        "asyncio.AbstractEventLoop().call_soon asyncio.AbstractEventLoop().call_soon_threadsafe asyncio.Future().add_done_callback
         asyncio.Task().add_done_callback",
        OnLoop(0, "callback"),
    ),
    ("asyncio.AbstractEventLoop().call_later asyncio.AbstractEventLoop().call_at", OnLoop(1, "callback")),
    (
        "asyncio.AbstractEventLoop().add_reader asyncio.AbstractEventLoop().add_writer asyncio.AbstractEventLoop().add_signal_handler",
        OnLoop(1, "callback"),
    ),
    ("asyncio.AbstractEventLoop().set_exception_handler", OnLoop(0, "handler")),
    ("asyncio.start_server asyncio.start_unix_server", OnLoop(0, "client_connected_cb")),
    ("asyncio.to_thread anyio.to_thread.run_sync trio.to_thread.run_sync starlette.concurrency.run_in_threadpool", Elsewhere(0, "func")),
    ("asyncio.AbstractEventLoop().run_in_executor", Elsewhere(1, "func")),
    ("concurrent.futures.Executor().submit concurrent.futures.Executor().map", Elsewhere(0, "fn")),
    ("threading.Thread multiprocessing.Process", Elsewhere(1, "target")),
    ("threading.Timer", Elsewhere(1, "function")),
    // A future's callbacks run in the thread that ends it.
    ("concurrent.futures.Future().add_done_callback", Elsewhere(0, "fn")),
    ("asyncio.threadsafe.Future().add_done_callback", OnLoop(0, "fn")),
];
