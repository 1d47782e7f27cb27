//! Methods of classes of the standard library that programs derive from, which others call as plain functions, and where those run. What a subclass
//! has besides, nobody there knows of.

use super::fits;
use Called::{Anywhere, OffLoop};

/// Where the methods of a class run that others call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// Where somebody makes use of the object: a loop may run there.
    Anywhere,
    /// In a thread or process of its own, or in a program that waits for it.
    OffLoop,
}

/// Classes, the one above them, where their methods run, and what these are; `*` in a method stands for a part of its name.
type Row = (&'static str, &'static str, Called, &'static str);

/// Where others call the method of this name that a class, or one above it, has; or nothing, if they know of none.
///
/// An error, if it is not known what the class has.
pub(crate) fn called(class: &str, name: &str) -> Result<Option<Called>, ()> {
    let row = METHODS.iter().find(|(classes, ..)| classes.split_whitespace().any(|one| one == class));
    let (_, above, called, methods) = row.ok_or(())?;
    if methods.split_whitespace().any(|method| fits(method, name)) {
        return Ok(Some(*called));
    }
    if above.is_empty() { Ok(None) } else { self::called(above, name) }
}

const METHODS: &[Row] = &[
    ("object abc.ABC typing.Generic typing.Protocol typing_extensions.Protocol threading.local", "", Anywhere, ""),
    ("contextlib.ContextDecorator contextlib.AbstractContextManager", "", Anywhere, "__enter__ __exit__"),
    ("logging.Filterer", "", Anywhere, "addFilter filter removeFilter"),
    ("logging.Filter", "", Anywhere, "filter"),
    ("logging.Formatter", "", Anywhere, "converter format formatException formatMessage formatStack formatTime usesTime"),
    (
        "logging.Handler",
        "logging.Filterer", Anywhere,
        "acquire close createLock emit flush format get_name handle handleError release setFormatter setLevel set_name",
    ),
    ("logging.StreamHandler", "logging.Handler", Anywhere, "setStream"),
    ("logging.FileHandler logging.handlers.WatchedFileHandler", "logging.StreamHandler", Anywhere, "_open reopenIfNeeded"),
    (
        "logging.handlers.BaseRotatingHandler logging.handlers.RotatingFileHandler logging.handlers.TimedRotatingFileHandler",
        "logging.FileHandler", Anywhere,
        "computeRollover doRollover getFilesToDelete namer rotate rotation_filename rotator shouldRollover",
    ),
    ("logging.handlers.BufferingHandler logging.handlers.MemoryHandler", "logging.Handler", Anywhere, "setTarget shouldFlush"),
    ("logging.handlers.QueueHandler", "logging.Handler", Anywhere, "enqueue prepare"),
    ("logging.handlers.QueueListener", "", Anywhere, "_monitor dequeue enqueue_sentinel handle prepare start stop"),
    (
        "logging.handlers.SocketHandler logging.handlers.DatagramHandler logging.handlers.SysLogHandler",
        "logging.Handler", Anywhere,
        "createSocket encodePriority makePickle makeSocket mapPriority send",
    ),
    ("logging.handlers.HTTPHandler logging.handlers.SMTPHandler", "logging.Handler", Anywhere, "getConnection getSubject mapLogRecord"),
    (
        "logging.LoggerAdapter",
        "", Anywhere,
        "critical debug error exception getEffectiveLevel hasHandlers info isEnabledFor log process setLevel warn warning",
    ),
    ("asyncio.BaseProtocol", "", Anywhere, "connection_lost connection_made pause_writing resume_writing"),
    ("asyncio.Protocol asyncio.StreamReaderProtocol", "asyncio.BaseProtocol", Anywhere, "data_received eof_received"),
    ("asyncio.BufferedProtocol", "asyncio.BaseProtocol", Anywhere, "buffer_updated eof_received get_buffer"),
    ("asyncio.DatagramProtocol", "asyncio.BaseProtocol", Anywhere, "datagram_received error_received"),
    ("asyncio.SubprocessProtocol", "asyncio.BaseProtocol", Anywhere, "pipe_connection_lost pipe_data_received process_exited"),
    ("threading.Thread threading.Timer", "", OffLoop, "cancel getName isDaemon is_alive join run setDaemon setName start"),
    ("multiprocessing.Process", "", OffLoop, "close is_alive join kill run start terminate"),
    (
        "queue.Queue queue.LifoQueue queue.PriorityQueue asyncio.Queue asyncio.LifoQueue asyncio.PriorityQueue",
        "", Anywhere,
        "_get _init _put _qsize empty full get get_nowait join put put_nowait qsize shutdown task_done",
    ),
    (
        "concurrent.futures.Executor concurrent.futures.ThreadPoolExecutor concurrent.futures.ProcessPoolExecutor",
        "", Anywhere,
        "__enter__ __exit__ map shutdown submit",
    ),
    (
        "socketserver.BaseServer socketserver.TCPServer socketserver.UDPServer socketserver.ThreadingMixIn socketserver.ForkingMixIn
         socketserver.ThreadingTCPServer socketserver.ThreadingUDPServer http.server.HTTPServer http.server.ThreadingHTTPServer",
        "", OffLoop,
        "__enter__ __exit__ close_request fileno finish_request get_request handle_error handle_request handle_timeout process_request
         process_request_thread serve_forever server_activate server_bind server_close service_actions shutdown shutdown_request
         verify_request",
    ),
    (
        "socketserver.BaseRequestHandler socketserver.StreamRequestHandler socketserver.DatagramRequestHandler",
        "", OffLoop,
        "finish handle setup",
    ),
    (
        "http.server.BaseHTTPRequestHandler http.server.SimpleHTTPRequestHandler",
        "socketserver.BaseRequestHandler", OffLoop,
        "address_string copyfile date_time_string do_* end_headers flush_headers guess_type handle_expect_100 handle_one_request
         list_directory log_date_time_string log_error log_message log_request parse_request send_error send_head send_header
         send_response send_response_only translate_path version_string",
    ),
    (
        "unittest.TestCase",
        "",
        OffLoop,
        "addClassCleanup addCleanup countTestCases debug defaultTestResult doClassCleanups doCleanups fail id run runTest setUp setUpClass
         shortDescription skipTest subTest tearDown tearDownClass test*",
    ),
    ("json.JSONEncoder", "", Anywhere, "default encode iterencode"),
    ("json.JSONDecoder", "", Anywhere, "decode raw_decode"),
    ("ast.NodeVisitor ast.NodeTransformer", "", Anywhere, "generic_visit visit visit_*"),
    (
        "cmd.Cmd",
        "", OffLoop,
        "cmdloop columnize complete complete_* completedefault completenames default do_* emptyline get_names help_* onecmd parseline
         postcmd postloop precmd preloop print_topics",
    ),
    (
        "html.parser.HTMLParser",
        "", Anywhere,
        "clear_cdata_mode close convert_charref error feed get_starttag_text getpos goahead handle_* parse_* reset set_cdata_mode
         unknown_decl updatepos check_for_whole_start_tag",
    ),
    ("argparse.Action", "", OffLoop, "format_usage"),
    (
        "string.Formatter",
        "", Anywhere,
        "check_unused_args convert_field format format_field get_field get_value parse vformat",
    ),
    (
        "dict collections.OrderedDict collections.UserDict collections.defaultdict collections.abc.Mapping
         collections.abc.MutableMapping",
        "", Anywhere,
        "clear copy get items keys move_to_end pop popitem setdefault update values",
    ),
];
