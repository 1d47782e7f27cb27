//! What no rule asks about: built-in functions that compute, tell or write down, and all libraries but some. (What of them blocks, or calls
//! what it is handed, the other tables say.)

use super::first_name;
use rustc_hash::FxHashSet;
use std::sync::LazyLock;

/// Whether a path is of those.
pub(crate) fn is_quiet(path: &str) -> bool {
    let root = first_name(path);
    FUNCTIONS.contains(path)
        || PARTS.iter().any(|part| path.starts_with(part))
        || !(ASKED.contains(root) || ASKED_FUNCTIONS.contains(path) || is_builtin(root))
}

/// Whether it is a built-in function that matters here.
pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(name)
}

type Words = LazyLock<FxHashSet<&'static str>>;

fn words(list: &'static str) -> FxHashSet<&'static str> {
    list.split_whitespace().collect()
}

/// Whether a name is that of a built-in function which nobody asks about.
pub(crate) fn is_quiet_builtin(name: &str) -> bool {
    FUNCTIONS.contains(name)
}

static FUNCTIONS: Words = LazyLock::new(|| {
    words(
        "abs bool bytes bytearray chr complex divmod float format hash hex id int len oct ord pow print range range() range()[*] repr \
         round str",
    )
});

/// Modules of which more is asked than the tables say; and functions of others.
static ASKED: Words = LazyLock::new(|| {
    words(
        "abc aiohttp anyio asgiref asyncio atexit attr attrs collections concurrent contextlib contextvars curio dataclasses functools \
         inspect multiprocessing nest_asyncio nest_asyncio2 pytest pytest_asyncio signal sniffio socket soliloop threading tornado trio twisted types \
         typing typing_extensions uvloop weakref",
    )
});

static ASKED_FUNCTIONS: Words = LazyLock::new(|| {
    words("copy.copy copy.deepcopy importlib.import_module itertools.starmap os._exit os.abort pydantic.Field sys.exit")
});

static BUILTINS: Words = LazyLock::new(|| {
    words(
        "open input sorted min max map filter list tuple set frozenset dict sum any all enumerate zip reversed next iter property \
         classmethod staticmethod isinstance len str repr bytes bytearray getattr __import__ type Exception BaseException RuntimeError \
         ConnectionRefusedError OSError KeyboardInterrupt GeneratorExit TimeoutError super object print int float bool format hash anext aiter \
         ExceptionGroup BaseExceptionGroup",
    )
});

const PARTS: &[&str] = &["str()", "bytes().", "dict().", "frozenset().", "list().", "set().", "tuple()."];
