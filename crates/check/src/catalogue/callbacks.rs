//! What functions of other libraries do with functions that they are handed.

use super::Handed::{self, Calls, CallsWith, ComparesElements, Elsewhere, Enters, Iterates, OnLoop, Special};

pub(super) const HANDED: &[(&str, Handed)] = &[
    ("sorted min max itertools.groupby()[*] heapq.nsmallest heapq.nlargest list().sort", Calls(1000, "key")),
    ("json.dumps json.dump", Calls(1000, "default")),
    ("json.loads json.load", Calls(1000, "object_hook")),
    ("json.loads json.load", Calls(1000, "object_pairs_hook")),
    ("copy.copy", Special(0, "__copy__")),
    ("copy.deepcopy", Special(0, "__deepcopy__")),
    (
        "functools.reduce map()[*] filter()[*] callable_iterator()[*] itertools.takewhile()[*] itertools.dropwhile()[*]
         itertools.starmap()[*] itertools.filterfalse()[*]",
        Calls(0, "function"),
    ),
    ("itertools.accumulate()[*]", Calls(1, "func")),
    ("re.sub re.subn", Calls(1, "repl")),
    ("contextlib.ExitStack().callback contextlib.AsyncExitStack().callback", CallsWith(0, "callback")),
    ("contextlib.ExitStack().enter_context contextlib.AsyncExitStack().enter_context", Enters(0)),
    ("contextvars.Context().run contextvars.copy_context().run", CallsWith(0, "callable")),
    ("sorted min heapq.heapify", ComparesElements(0, "__lt__")),
    ("max", ComparesElements(0, "__gt__")),
    ("heapq.heappush heapq.heappushpop heapq.heapreplace", Special(1, "__lt__")),
    ("len", Special(0, "__len__")),
    ("str print", Special(0, "__str__")),
    ("format str().format", Special(0, "__format__")),
    ("str().format", Special(1, "__format__")),
    ("str().format", Special(2, "__format__")),
    ("repr", Special(0, "__repr__")),
    ("bool", Special(0, "__bool__")),
    ("int", Special(0, "__int__")),
    ("float", Special(0, "__float__")),
    ("bytes", Special(0, "__bytes__")),
    ("hash", Special(0, "__hash__")),
    ("next", Special(0, "__next__")),
    (
        "list tuple set frozenset dict sorted sum min max any all reversed next str().join bytes().join bytes bytearray
         list().extend set().update set().union set().difference set().intersection set().issubset dict().update dict.fromkeys
         functools.reduce collections.deque collections.deque().extend collections.deque().extendleft collections.Counter
         collections.Counter().update collections.OrderedDict math.prod math.fsum statistics.mean heapq.merge shlex.join
         csv.writer().writerows sys.stdout.writelines itertools.product itertools.permutations itertools.combinations tqdm.tqdm
         enumerate()[*] zip()[*] iter()[*] itertools.accumulate()[*] itertools.batched()[*] itertools.chain()[*]
         itertools.chain.from_iterable()[*] itertools.compress()[*] itertools.cycle()[*] itertools.groupby()[*] itertools.islice()[*]
         itertools.pairwise()[*] itertools.zip_longest()[*]",
        Iterates(0),
    ),
    (
        "functools.reduce heapq.nlargest heapq.nsmallest itertools.product concurrent.futures.Executor().map map()[*] filter()[*]
         zip()[*] itertools.chain()[*] itertools.compress()[*] itertools.dropwhile()[*] itertools.filterfalse()[*]
         itertools.starmap()[*] itertools.takewhile()[*] itertools.zip_longest()[*]",
        Iterates(1),
    ),
    ("map()[*] zip()[*] itertools.chain()[*] itertools.zip_longest()[*]", Iterates(2)),
    ("map()[*] zip()[*] itertools.chain()[*] itertools.zip_longest()[*]", Iterates(3)),
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
