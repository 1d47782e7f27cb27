//! What no rule asks about: built-in functions, and modules of the standard library that compute, tell or write down. (What of them blocks, or
//! calls what it is handed, the other tables say.)

/// Whether a path is one of those.
pub(crate) fn is_quiet(path: &str) -> bool {
    let root = path.split(['.', '(', '[']).next().unwrap_or(path);
    let has = |list: &str, name: &str| list.split_whitespace().any(|known| known == name);
    has(MODULES, root) || has(FUNCTIONS, path) || PARTS.iter().any(|part| path.starts_with(part))
}

/// Whether a name is that of a built-in function which nobody asks about.
pub(crate) fn is_quiet_builtin(name: &str) -> bool {
    FUNCTIONS.split_whitespace().any(|known| known == name)
}

const FUNCTIONS: &str =
    "abs bool bytes bytearray chr complex divmod float format hash hex id int len oct ord pow print range range()
    range()[*] repr round str";

const MODULES: &str = "base64 binascii bisect calendar cmath datetime decimal difflib fractions hashlib heapq hmac html ipaddress json locale
    logging math numbers operator platform pprint random re secrets statistics string struct textwrap time traceback unicodedata uuid
    warnings zlib zoneinfo";

const PARTS: &[&str] = &[
    "os.path",
    "os.environ",
    "os.getenv",
    "os.getpid",
    "os.fspath",
    "str()",
    "sys.argv",
    "sys.platform",
    "sys.version",
];
