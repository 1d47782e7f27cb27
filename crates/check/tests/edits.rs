//! Edits: what leaves a report as it was, and what does not.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use soliloop_check::{Edit, File, Report, Settings, check, know};

const BEFORE: &str = "\
import asyncio, logging, time
import shop

log = logging.getLogger(__name__)


def rounded(number):
    return round(number)


def pause(seconds):
    time.sleep(seconds)


async def main():
    pause(1)
    task = asyncio.create_task(shop.sell())
    task.add_done_callback(print)


asyncio.run(main())
";

const SHOP: &str = "\
import start
import time


def pack(box=None):
    time.sleep(1)


class Till:
    @property
    def total(self):
        return self.count()

    def count(self):
        return len(start.PRICES)


async def sell():
    return Till().total
";

/// The report of a program after edits of its files (those of one file in a row at once), if it was carried over all of them, and whether the
/// whole program was asked, which may only be if `may_ask`: `old` becomes `new` in `path`.
fn carry(files: &[(&str, &str)], edits: &[(&str, &str, &str)], may_ask: bool) -> (Option<Report>, bool) {
    let settings = Settings::default();
    let mut files: Vec<File> =
        files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
    let know_all = |files: &[File]| files.iter().map(|file| know(&file.text)).collect::<Vec<_>>();
    let mut report = check(&files, know_all(&files), &settings);
    let is_asked = std::cell::Cell::new(false);
    for edits in edits.chunk_by(|one, next| one.0 == next.0) {
        let index = files.iter().position(|file| file.path == edits[0].0).unwrap();
        let before = files[index].text.clone();
        for (_, old, new) in edits {
            let text = &mut files[index].text;
            assert!(text.contains(old) && old != new, "{old}");
            *text = text.replacen(old, new, 1);
        }
        let edit = Edit { index, old: &know(&before), new: &know(&files[index].text) };
        let whole = || {
            is_asked.set(true);
            may_ask.then(|| know_all(&files).into_iter().map(Into::into).collect())
        };
        let Some(carried) = report.after(edit, &files, &settings, &whole) else { return (None, is_asked.get()) };
        let fresh = check(&files, know_all(&files), &settings);
        assert_eq!((&carried.findings, &carried.problems), (&fresh.findings, &fresh.problems), "after {edits:?}");
        report = carried;
    }
    (Some(report), is_asked.get())
}

/// The same of one edit, for which the whole program may be asked.
fn asked(files: &[(&str, &str)], edit: (&str, &str, &str)) -> (Option<Report>, bool) {
    carry(files, &[edit], true)
}

/// The same of several, for which it may not.
fn carried_all(files: &[(&str, &str)], edits: &[(&str, &str, &str)]) -> Option<Report> {
    carry(files, edits, false).0
}

/// The report of the program after an edit of its first file, if it was carried over.
fn carried(after: &str) -> Option<Report> {
    carried_from(BEFORE, after)
}

/// The same, with another text before.
fn carried_from(before: &str, after: &str) -> Option<Report> {
    let files = |text: &str| {
        [("shop.py", SHOP), ("start.py", text)].map(|(path, text)| File { path: path.into(), text: text.into() })
    };
    let know_all = |files: &[File]| files.iter().map(|file| know(&file.text)).collect::<Vec<_>>();
    let (old, new, settings) = (files(before), files(after), Settings::default());
    let report = check(&old, know_all(&old), &settings);
    assert!(report.findings.iter().any(|finding| finding.code == "SL002"), "{report:?}");
    let edit = Edit { index: 1, old: &know(before), new: &know(after) };
    let carried = report.after(edit, &new, &settings, &|| None)?;
    let fresh = check(&new, know_all(&new), &settings);
    assert_eq!((&carried.findings, &carried.problems), (&fresh.findings, &fresh.problems), "after {after}");
    Some(carried)
}

#[test]
fn quiet_edits() {
    let lines = [
        "    # a comment\n",
        "    retries = 3\n",
        "    print('here')\n",
        "    log.info('here: %s', time.monotonic())\n",
        "    name = ', '.join(['a', str(1)]).upper()\n",
        "    for number in range(3):\n        print(number)\n",
        "    day = rounded(3)\n",
    ];
    for line in lines {
        for place in ["    time.sleep", "    pause(1)", "    task ="] {
            let after = BEFORE.replacen(place, &format!("{line}{place}"), 1);
            assert!(carried(&after).is_some(), "{after}");
        }
    }
    for end in
        ["LIMIT = 3\n", "def helper(number):\n    return number + 1\n", "import json\n", "async def stub():\n    ...\n"]
    {
        assert!(carried(&format!("{BEFORE}\n\n{end}")).is_some(), "{end}");
    }
}

#[test]
fn edits_that_say_something() {
    let edits = [
        // Something is called, made, awaited, kept.
        ("    pause(1)\n", "    pause(1)\n    pause(2)\n"),
        ("    pause(1)\n", "    pause(1)\n    await asyncio.sleep(0)\n"),
        ("    task.add_done_callback(print)\n", "    task.add_done_callback(print)\n    print(task)\n"),
        // Less does.
        ("    time.sleep(seconds)\n", "    time = None\n    time.sleep(seconds)\n"),
        ("    time.sleep(seconds)\n", "    if seconds:\n        time.sleep(seconds)\n"),
        // Others may hear of it.
        ("asyncio.run(main())\n", "asyncio.run(main())\nPRICES = [1]\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nkinds = [shop.Till]\n"),
        ("    pause(1)\n", "    pause(1)\n    print(shop.Till().total)\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nclass Till:\n    pass\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nclass Other(shop.Till):\n    pass\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nclass Other:\n    def count(self):\n        return 1\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nclass Other:\n    pass\nprint(Other)\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\n@print\nclass Other:\n    pass\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nasync def sell():\n    return 3\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nasync def other():\n    asyncio.get_event_loop()\n"),
        ("asyncio.run(main())\n", "asyncio.run(main())\nasync def other():\n    return 3\nkinds = [other]\n"),
        ("async def main():\n", "async def main(log=log):\n"),
        ("import asyncio, logging, time\n", "import asyncio, logging, time  # noqa\n"),
        ("    pause(1)\n", "    pause(1)  # noqa\n"),
        ("    pause(1)\n", "    pause(  # noqa\n        1)\n"),
        ("import asyncio, logging, time\n", "global time\nimport asyncio, logging\n"),
        ("asyncio.run(main())\n", "asyncio.run(main()\n"),
    ];
    for (before, after) in edits {
        let after = BEFORE.replacen(before, after, 1);
        assert_ne!(after, BEFORE);
        assert!(carried(&after).is_none(), "{after}");
    }
}

const CHAINS: &str = "\
import asyncio, json, os, time
import requests
from shop import pack


def wait():
    time.sleep(3)


def twice(what):
    what()
    what()


def fetch(url, fast=False):
    if not fast:
        time.sleep(1)
    return requests.get(url)


def load(url):
    return fetch(url)


def unused(url):
    return json.loads(url)


class Reader:
    def read(self, url):
        setting = os.getenv('x')
        return load(url)

    async def run(self):
        await asyncio.sleep(0)
        return self.read('a')


async def main():
    await Reader().run()
    wait()
    load('d')
    load('b')
    fetch('c', fast=True)


async def idle(url):
    print(url)


asyncio.run(main())
";

#[test]
fn calls_that_block_come_and_go() {
    let edits = [
        // In a coroutine function; in what it calls; before and behind what is there; in what nobody calls.
        ("    load('b')\n", "    time.sleep(1)\n    load('b')\n"),
        ("    load('b')\n", "    load('b')\n    requests.post('u', data=1)\n"),
        ("    return fetch(url)\n", "    time.sleep(1)\n    return fetch(url)\n"),
        ("    return requests.get(url)\n", "    requests.head(url)\n    return requests.get(url)\n"),
        ("        return load(url)\n", "        time.sleep(1)\n        time.sleep(2)\n        return load(url)\n"),
        ("    return json.loads(url)\n", "    time.sleep(1)\n    return json.loads(url)\n"),
        // Gone, under a condition of the caller's.
        ("        time.sleep(1)\n", "        print(url)\n"),
        // Calls of plain functions of the program.
        ("    load('b')\n", "    load('b')\n    wait()\n"),
        ("    load('b')\n", "    wait()\n    load('b')\n    wait()\n"),
        ("    load('b')\n", "    load('b')\n    pack(1)\n"),
        ("    return json.loads(url)\n", "    wait()\n    return json.loads(url)\n"),
        ("    return fetch(url)\n", "    wait()\n    return fetch(url)\n"),
        ("    wait()\n    load('d')\n", "    load('d')\n"),
        // What is mended by hand.
        ("    load('d')\n", "    await asyncio.sleep(1)\n    load('d')\n"),
        ("    wait()\n    load('d')\n", "    await asyncio.sleep(3)\n    load('d')\n"),
        // With a result.
        ("    load('b')\n", "    answer = requests.get('u')\n    load('b')\n"),
        ("    load('b')\n", "    print(requests.get('u'))\n    load('b')\n"),
        // In a function that was told of because nothing else was to be mended in it.
        ("    print(url)\n", "    time.sleep(1)\n"),
    ];
    for (before, after) in edits {
        let after = CHAINS.replacen(before, after, 1);
        assert_ne!(after, CHAINS);
        assert!(carried_from(CHAINS, &after).is_some(), "{after}");
    }
    // Something else is returned; a condition; a name that is not what it was.
    let edits = [
        ("    return requests.get(url)\n", "    return url\n"),
        ("    load('b')\n", "    load('b')\n    if load:\n        time.sleep(1)\n"),
        ("    load('b')\n", "    load('b')\n    time = Reader()\n    time.sleep(1)\n"),
        ("    load('b')\n", "    load('b')\n    sys.exit(1)\n"),
        // What is called asks what it was given, or gives something.
        ("    load('b')\n", "    load('b')\n    twice(wait)\n"),
        ("    load('b')\n", "    load('b')\n    fetch('e')\n"),
    ];
    for (before, after) in edits {
        let after = CHAINS.replacen(before, after, 1);
        assert_ne!(after, CHAINS);
        assert!(carried_from(CHAINS, &after).is_none(), "{after}");
    }
}

const RESULTS: &str = "\
import asyncio, logging, time

log = logging.getLogger(__name__)


async def load():
    await asyncio.sleep(0)


async def rows():
    try:
        yield 1
    finally:
        await asyncio.sleep(0)


async def main(flag):
    time.sleep(1)
    print(load())
    sum = load() + 1
    other = load() or None
    print(other)
    unused = load() or None
    third = flag and load()
    log.info(third)
    fourth = load() if flag else 1
    parts = [fourth]
    it = rows()
    await anext(it)
    return sum, parts


asyncio.run(main(1))
";

#[test]
fn edits_of_what_uses_results() {
    let edits = [
        ("    print(load())\n", "    log.info(load())\n"),
        ("load() + 1\n", "[load(), 1]\n"),
        ("    print(other)\n", "    log.info(other)\n"),
        ("    print(other)\n", "    print(other)\n    rest = [other]\n"),
        ("    print(other)\n", ""),
        ("    log.info(third)\n", "    log.info(third)\n    rest = [unused]\n"),
        ("    log.info(third)\n", "    print(third)\n"),
        ("    log.info(third)\n", "    if third:\n        print(1)\n"),
        ("    log.info(third)\n", "    rest = [third]\n"),
        ("    parts = [fourth]\n", "    parts = 1\n    if fourth:\n        parts = 2\n"),
        ("    await anext(it)\n", "    for _ in range(3):\n        await anext(it)\n"),
        ("    await anext(it)\n", "    await anext(it)\n    print(it)\n"),
    ];
    for (before, after) in edits {
        let after = RESULTS.replacen(before, after, 1);
        assert_ne!(after, RESULTS);
        assert!(carried_from(RESULTS, &after).is_none(), "{after}");
    }
    let quiet = RESULTS.replacen("    it = rows()\n", "    for n in range(3):\n        print(n)\n    it = rows()\n", 1);
    assert!(carried_from(RESULTS, &quiet).is_some());
}

const MADE: &str = "\
import asyncio, logging, time

log = logging.getLogger(__name__)


class Remote:
    def put(self):
        time.sleep(1)


class Cache:
    def __init__(self, remote=None):
        self.remote = remote

    def attach(self):
        self.remote = Remote()

    def show(self):
        return 1

    def put(self):
        if self.remote:
            self.remote.put()


alone = Cache()


async def main():
    await asyncio.sleep(0)
    time.sleep(1)
    alone.put()
    alone.show()


asyncio.run(main())
";

#[test]
fn edits_of_what_is_done_with_an_object() {
    let edits = [
        ("    alone.show()\n", "    alone.show()\n    log.info('now: %s', alone)\n"),
        ("    alone.show()\n", "    alone.show()\n    later = [alone]\n"),
        ("    alone.show()\n", "    alone.show()\n    later = alone.attach\n"),
        ("        return 1\n", "        later = self.attach\n        return 1\n"),
    ];
    for (before, after) in edits {
        let after = MADE.replacen(before, after, 1);
        assert_ne!(after, MADE);
        assert!(carried_from(MADE, &after).is_none(), "{after}");
    }
    let quiet = MADE.replacen("        return 1\n", "        print('here')\n        return 1\n", 1);
    assert!(carried_from(MADE, &quiet).is_some());
}

#[test]
fn comments_that_silence() {
    let before = BEFORE.replacen("    pause(1)\n", "    pause(1)\n    pause(2)  # noqa: SL002\n", 1);
    for line in ["    # a comment\n", "    retries = 3\n"] {
        let after = before.replacen("    pause(1)\n", &format!("{line}    pause(1)\n"), 1);
        assert!(carried_from(&before, &after).is_some(), "{after}");
    }
    let swapped = BEFORE.replacen("    pause(1)\n", "    pause(1)  # noqa: SL002\n    pause(2)\n", 1);
    assert!(carried_from(&before, &swapped).is_none());
    let moved = before.replacen("    pause(2)  # noqa: SL002\n", "    pause(  # noqa: SL002\n        2\n    )\n", 1);
    assert!(carried_from(&before, &moved).is_none());
    let beside = before.replacen("    pause(2)  # noqa: SL002\n", "    pause(2)\n    # noqa: SL002\n", 1);
    assert!(carried_from(&before, &beside).is_none());
}

#[test]
fn what_mentions_say() {
    // One mention in the place of another; a name of a function; what a new function gives; a name that is used though it is bound no more.
    let swapped = BEFORE.replacen("asyncio.run(main())\n", "asyncio.run(main())\nkind = shop.Till is None\n", 1);
    for kind in ["shop.Till", "[shop.Till]", "shop.Till or 1"] {
        let after = swapped.replacen("kind = shop.Till is None", &format!("kind = {kind}"), 1);
        assert!(carried_from(&swapped, &after).is_none(), "{after}");
    }
    let given = format!("{BEFORE}\n\ndef kind():\n    return shop.Till\n");
    assert!(carried(&given).is_none());
    let raising = BEFORE.replacen("def pause", "def stop():\n    print(1)\n    raise OSError\n\n\ndef pause", 1);
    let stopped = |before: &str| before.replacen("    pause(1)\n", "    stop()\n    pause(1)\n", 1);
    assert!(carried_from(&raising, &stopped(&raising)).is_some());
    let refused = raising.replacen("raise OSError", "raise OSError('no')", 1);
    assert!(carried_from(&refused, &refused.replacen("'no'", "'not at all'", 1)).is_some());
    assert!(carried_from(&refused, &refused.replacen("'no'", "shop.Till", 1)).is_none());
    let never = raising.replacen("    print(1)\n", "    if False:\n        return\n", 1);
    assert!(carried_from(&never, &stopped(&never)).is_none());
    let method = BEFORE.replacen(
        "async def main",
        "class Kind:\n    def itself(self):\n        name = self.size\n\n\nasync def main",
        1,
    );
    for value in ["self", "self.__dict__", "print(self)"] {
        assert!(carried_from(&method, &method.replacen("= self.size", &format!("= {value}"), 1)).is_none(), "{value}");
    }
    assert!(carried_from(&method, &method.replacen("= self.size", "= self.weight", 1)).is_some());
}

const QUESTION: &str = "\
import asyncio, time


def needs_no_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError


def slow():
    time.sleep(4)


def work():
    needs_no_loop()
    number = 1
    time.sleep(1)


def other():
    time.sleep(1)
    needs_no_loop()
    number = 2


def plain():
    slow()
    slow()
    slow()
    time.sleep(3)


async def main():
    work()
    other()
    plain()
    await asyncio.sleep(0)
";

#[test]
fn what_is_behind_a_question() {
    let carried = |old: &str, new: &str| carried_all(&[("start.py", QUESTION)], &[("start.py", old, new)]);
    // A function begins with so much that a question is not looked at any more; or it is asked elsewhere.
    let begun = |line: &str, count: usize| format!("def work():\n{}", line.repeat(count));
    assert!(carried("def work():\n", &begun("    print(1)\n", 3)).is_none());
    assert!(carried("def work():\n", &begun("    number = 3\n", 8)).is_none());
    assert!(carried("    needs_no_loop()\n", "    for _ in range(3):\n        needs_no_loop()\n").is_none());
    // What was told of before a question says nothing of what comes behind it.
    assert!(carried("    number = 2\n", "    time.sleep(2)\n").is_none());
    assert!(carried("    number = 1\n", "    slow()\n").is_none());
    // Calls that return in any case are no questions.
    assert!(carried("def plain():\n", "def plain():\n    print(1)\n").is_some());
    assert!(carried("def plain():\n", "def plain():\n    time.sleep(2)\n").is_some());
}

#[test]
fn edits_of_two_files_at_once() {
    let start =
        "import asyncio, time\nfrom shop import slow\n\n\nasync def main():\n    slow()\n    await asyncio.sleep(0)\n";
    let head = "'é, and a text that makes the file a good deal longer than it is without it'\n";
    let shop = format!("import time\n{head}{head}\n\ndef slow():\n    time.sleep(1); x = 'ééééééééééééééééééééé'\n");
    let files = [("main.py", start), ("shop.py", &*shop)];
    let call = ("main.py", "    slow()\n", "    time.sleep(2)\n    slow()\n");
    for shorter in ["'é'\n", ""] {
        let found = carried_all(&files, &[call, ("shop.py", head, shorter)]);
        assert_eq!(found.map(|report| report.findings.len()), Some(2), "{shorter}");
    }
}

#[test]
fn what_functions_are_handed_is_called_in_an_order_of_its_own() {
    let text = "\
import asyncio, requests, time


def one(what):
    what(1)


def two(what):
    what(2)


def helper():
    one(requests.get)
    two(requests.post)
    one(requests.put)


async def main():
    helper()
    await asyncio.sleep(0)
";
    let come = "    two(requests.post)\n    time.sleep(1)\n";
    assert!(carried_all(&[("start.py", text)], &[("start.py", "    two(requests.post)\n", come)]).is_some());
}

#[test]
fn calls_that_keep_what_they_are_given() {
    let text = "\
import asyncio, time

hook = None
table = {}


def keep(what):
    global hook
    hook = what


def put(what):
    table['key'] = what


def show(what):
    number = what


def bad():
    time.sleep(1)


async def main():
    await asyncio.sleep(0)
    hook()
    table['key']()
    bad()
";
    let carried = |call: &str| {
        let after = format!("    {call}\n    hook()\n");
        carried_all(&[("start.py", text)], &[("start.py", "    hook()\n", &after)])
    };
    for call in ["keep(bad)", "put(bad)"] {
        assert!(carried(call).is_none(), "{call}");
    }
    for call in ["keep(1)", "put('x')", "show(bad)"] {
        assert!(carried(call).is_some(), "{call}");
    }
}

#[test]
fn names_that_say_something_by_themselves() {
    let shop = ("shop.py", "import time\n\n\ndef pack():\n    time.sleep(1)\n");
    let test = "import asyncio, logging, requests\nimport shop\n\n\nasync def test_it():\n    shop.pack()\n    await asyncio.sleep(0)\n";
    for call in ["requests.patch('shop.pack')", "logging.setattr('shop.pack', 1)"] {
        let edit = format!("    {call}\n    shop.pack()\n");
        let files = [shop, ("test_shop.py", test)];
        assert!(carried_all(&files, &[("test_shop.py", "    shop.pack()\n", &edit)]).is_none(), "{call}");
    }
    let start = "\
import asyncio, heapq, requests, time


def wait():
    time.sleep(1)


def ask():
    if not requests.empty():
        wait()


async def main():
    import logging
    ask()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError as error:
        print('x')
    raise logging.Error
";
    let carried = |old: &str, new: &str| carried_all(&[("start.py", start)], &[("start.py", old, new)]);
    // One that says that something is cancelled; a method that does not wait, as was asked before.
    assert!(carried("    try:\n", "    heapq.cancel(1)\n    try:\n").is_none());
    assert!(carried("        wait()\n", "        wait()\n        requests.get('u')\n").is_none());
    // A module does not keep an error that is raised later.
    assert!(carried("        print('x')\n", "        logging.info(error)\n").is_some());
}

#[test]
fn a_line_that_moves_to_another_function() {
    let bus = "\
import asyncio, time


class Bus:
    def __init__(self):
        self.handlers = {}

    def on(self, name, fn):
        self.handlers.setdefault(name, []).append(fn)
        print(1)

    def emit(self, name):
        for fn in self.handlers.get(name, []):
            fn()
            print(2)


def slow():
    time.sleep(1)


bus = Bus()
bus.on('slow', slow)


async def main(name):
    await asyncio.sleep(0)
    bus.emit('slow')
    bus.emit('quick')


asyncio.run(main(1))
";
    let before = bus.replacen("        print(1)\n", "        print(1)\n        given = [fn]\n", 1);
    let after = bus.replacen("            print(2)\n", "            print(2)\n            given = [fn]\n", 1);
    assert!(carried_from(&before, &after).is_none());
}

const CLIENT: &str = "\
import asyncio, logging, time
import httpx


class Client:
    def __init__(self, http: httpx.Client, log: logging.Logger):
        self.http = http
        self.log = log

    def close(self):
        self.log.info('closing %s', self)
        self.http.close()
        time.sleep(1)

    async def fetch(self, path):
        self.log.info('fetching')
        await asyncio.sleep(0)
        return path

    async def run(self):
        self.log.info('running')
        self.close()
        await self.fetch('a')
        await self.fetch('b')
        title = 'the first of all'
        return title


async def later():
    await asyncio.sleep(1)


def save():
    return later()


def told(sink, text):
    sink.write(text)
    sink.flush()


async def main(kind):
    client = Client(httpx.Client(), logging.getLogger())
    save()
    task = save()
    told(None, 'once')
    kind.begin('the first')
    kind.end()
    getattr(time, 'monotonic')()
    if kind == 'the last of all':
        time.sleep(2)
    await client.run()
    await task


asyncio.run(main(None))
";

#[test]
fn what_is_like_something_else() {
    let carried = |old: &str, new: &str| carried_all(&[("start.py", CLIENT)], &[("start.py", old, new)]);
    let same = [
        // What other libraries do, whatever they are told; in any method.
        ("        self.log.info('fetching')\n", ""),
        ("        return path\n", "        self.log.info('done %s', path)\n        return path\n"),
        ("        self.log.info('running')\n", "        self.log.info('walking', 3)\n"),
        ("        self.http.close()\n", ""),
        ("'closing %s'", "'it closes: %s'"),
        // Functions of the program, called as before.
        ("        await self.fetch('b')\n", ""),
        ("        await self.fetch('a')\n", "        await self.fetch('c')\n        await self.fetch('a')\n"),
        ("        self.close()\n", "        self.close()\n        self.close()\n"),
        ("    told(None, 'once')\n", "    told(None, 'once')\n    told(None, 'once')\n"),
        // A parameter of which nobody says what it is.
        ("    kind.end()\n", ""),
        ("    kind.begin('the first')\n", "    kind.begin('the second', 3)\n"),
        // A text like which there is no other one; and what is returned to those who do not ask what that is.
        ("'the first of all'", "'the second of all'"),
        ("'the first of all'", "'once'"),
        ("        return title\n", "        return [kind for kind in title]\n"),
        ("        return title\n", ""),
        ("'the last of all'", "'the very last of all'"),
    ];
    for (old, new) in same {
        assert!(carried(old, new).is_some(), "{old} {new}");
    }
    let renamed =
        [("start.py", "    client = Client(", "    one = Client("), ("start.py", "client.run()", "one.run()")];
    assert!(carried_all(&[("start.py", CLIENT)], &renamed).is_some());
    // A name that the function had for something else.
    let merged =
        [("start.py", "    client = Client(", "    task = Client("), ("start.py", "client.run()", "task.run()")];
    assert!(carried_all(&[("start.py", CLIENT)], &merged).is_none());
    let gone = carried("        self.close()\n", "").unwrap();
    assert!(gone.findings.iter().all(|finding| !finding.message.contains("`Client.run`")), "{gone:?}");
    let others = [
        // A coroutine that nobody awaits is one more finding.
        ("    save()\n", "    save()\n    save()\n"),
        ("    save()\n", ""),
        ("    task = save()\n", "    task = save()\n    task.close()\n"),
        // Given something else.
        ("    told(None, 'once')\n", "    told(None, 'once')\n    told(open('x'), 'once')\n"),
        // The last one, or the first one.
        ("    told(None, 'once')\n", ""),
        ("        await self.fetch('a')\n        await self.fetch('b')\n", ""),
        // Texts that there are elsewhere, that may be names, or that all may be compared with.
        ("'monotonic'", "'sleep'"),
        ("main(None)", "main('the last of all')"),
        ("main(None)", "main('the first of all')"),
    ];
    for (old, new) in others {
        assert!(carried(old, new).is_none(), "{old} {new}");
    }
}

#[test]
fn functions_that_nobody_asks_for() {
    let add = |end: &str| carried_from(BEFORE, &format!("{BEFORE}\n\n{end}"));
    let idle = "async def idle():\n    return 3\n";
    let slow = "async def slow(seconds=1):\n    print(seconds)\n    time.sleep(seconds)\n";
    let pausing = "async def pausing():\n    await asyncio.sleep(0)\n    pause(1)\n";
    let counts = |report: &Report, code: &str| report.findings.iter().filter(|finding| finding.code == code).count();
    let before = counts(&add("").unwrap(), "SL002");
    for (text, idle, more) in [(idle, 1, 0), (slow, 0, 1), ("def plain():\n    time.sleep(1)\n", 0, 0)] {
        let report = add(text).unwrap();
        assert_eq!((counts(&report, "SL008"), counts(&report, "SL002")), (idle, before + more), "{text}");
        // It goes as it came; and what was there once may come again.
        let with = format!("{BEFORE}\n\n{text}");
        assert!(carried_from(&with, BEFORE).is_some(), "{text}");
        assert!(carried_through(&[BEFORE, &with, BEFORE, &with, &format!("{with}\n\nLIMIT = 3\n")]), "{text}");
    }
    // It is told what patches asyncio.
    assert!(add("async def nesting():\n    from nest_asyncio2 import apply\n    apply()\n").is_none());
    // What is like something else is known; what others do if they are called must be asked of the program.
    assert!(add(pausing).is_some());
    assert!(add(&pausing.replace("pause(1)", "shop.pack()")).is_none());
}

/// Whether the report of the program is carried over from each of the texts of its first file to the next one.
fn carried_through(texts: &[&str]) -> bool {
    let files = |text: &str| {
        [("shop.py", SHOP), ("start.py", text)].map(|(path, text)| File { path: path.into(), text: text.into() })
    };
    let know_all = |files: &[File]| files.iter().map(|file| know(&file.text)).collect::<Vec<_>>();
    let settings = Settings::default();
    let first = files(texts[0]);
    let mut report = check(&first, know_all(&first), &settings);
    for pair in texts.windows(2) {
        let new = files(pair[1]);
        let edit = Edit { index: 1, old: &know(pair[0]), new: &know(pair[1]) };
        let Some(carried) = report.after(edit, &new, &settings, &|| None) else { return false };
        let fresh = check(&new, know_all(&new), &settings);
        assert_eq!((&carried.findings, &carried.problems), (&fresh.findings, &fresh.problems), "after {}", pair[1]);
        report = carried;
    }
    true
}

#[test]
fn what_tests_replace() {
    let files = [
        ("shop.py", "import time\n\n\nclass Mail:\n    def send(self):\n        time.sleep(1)\n"),
        (
            "test_shop.py",
            "from unittest.mock import patch\nimport shop\n\n\n@patch('shop.Mail')\nasync def test_it(mail):\n    shop.Mail().send()\n",
        ),
    ];
    assert!(carried_all(&files, &[("test_shop.py", "'shop.Mail'", "'another one'")]).is_none());
    // What never runs replaces nothing.
    let dead = "def test_two():\n    return\n    patch('shop.Mail.send')\n\n\nasync def test_it";
    let plain = [
        files[0],
        (
            "test_shop.py",
            "from unittest.mock import patch\nimport shop\n\n\nasync def test_it():\n    shop.Mail().send()\n",
        ),
    ];
    assert!(carried_all(&plain, &[("test_shop.py", "async def test_it", dead)]).is_some());
}

const BROKER: &str = "\
import asyncio, time, threading
import requests
from shop import pack


class Broker:
    limit = 3

    def __init__(self, client, name='broker'):
        self.client = client
        self.name = name

    def fetch(self, url, fast=False):
        if fast:
            return None
        return self.get(url)

    def get(self, url):
        return requests.get(url)

    def save(self):
        time.sleep(1)

    def call(self, what):
        return what()

    def count(self):
        total = 1
        return total

    def ask(self):
        self.client.head('a')

    @property
    def title(self):
        return self.save()

    @property
    def label(self):
        return self.quiet

    async def run(self):
        await asyncio.sleep(0)
        return self.limit

    async def idle(self):
        return self.name


class Spare:
    pass


def twice(what):
    what()
    what()


def alone(number):
    if number:
        return number
    return None


async def main():
    broker = Broker(requests)
    await broker.run()
    broker.call(alone)
    total = broker.count()
    print(total)
    task = asyncio.create_task(broker.run())
    await task


async def work():
    await asyncio.sleep(0)
    broker = Broker(requests)
    broker.fetch('a', fast=True)
    twice(alone)
    broker.label
    Spare()


asyncio.run(main())
";

#[test]
fn edits_of_which_the_program_is_asked() {
    let files = [("shop.py", SHOP), ("start.py", BROKER)];
    let counts = |report: &Report, code: &str| report.findings.iter().filter(|finding| finding.code == code).count();
    let carried = [
        // Calls of the program's own: of methods, of parameters, of what is handed over; with a result, and without.
        ("    broker.call(alone)\n", "    broker.call(alone)\n    broker.save()\n", "SL002", 1),
        ("    broker.call(alone)\n", "    broker.call(broker.save)\n", "SL002", 1),
        ("    broker.call(alone)\n", "    broker.call(alone)\n    twice(broker.save)\n", "SL002", 1),
        ("    total = broker.count()\n", "    total = broker.get('a')\n", "SL003", 1),
        ("    def count(self):\n", "    def count(self):\n        self.save()\n", "SL002", 1),
        ("    broker.fetch('a', fast=True)\n", "    broker.fetch('a')\n", "SL003", 1),
        // Conditions.
        ("    print(total)\n", "    if total:\n        broker.save()\n", "SL002", 1),
        ("    print(total)\n", "    if total is None:\n        broker.fetch('b')\n", "SL003", 1),
        // A coroutine, and a task, that nobody has.
        ("    await broker.run()\n", "    broker.run()\n", "SL005", 1),
        ("    await task\n", "", "SL002", 0),
        // More parameters.
        ("    def save(self):\n", "    def save(self, often=False):\n", "SL002", 0),
    ];
    let mut wrong = Vec::new();
    for (old, new, code, count) in carried {
        match asked(&files, ("start.py", old, new)) {
            (Some(report), true) if counts(&report, code) == count => {}
            (report, is_asked) => wrong.push((new, is_asked, report.map(|report| counts(&report, code)))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    // Others have been told something else; what an object has is given by who makes it; a function that nobody calls has its own
    // defaults; a class has no more instances.
    let others = [
        ("    broker.call(alone)\n", ""),
        ("        return requests.get(url)\n", "        return time\n"),
        ("    broker = Broker(requests)\n", "    broker = Broker(time)\n"),
        ("    Spare()\n", ""),
        ("    async def run(self):\n", "    def run(self):\n"),
        ("        return self.quiet\n", "        return self.title\n"),
        ("    await task\n", "    threading.Thread(target=broker.save).start()\n    await task\n"),
    ];
    for (old, new) in others {
        assert!(asked(&files, ("start.py", old, new)).0.is_none(), "{new}");
    }
}

/// Edits of a function of which another rule than those of ways hears.
#[test]
fn what_other_rules_hear() {
    let head = "import asyncio, logging, time\nimport thirdparty\n\nlog = logging.getLogger()\n\n\nasync def work():\n    await asyncio.sleep(1)\n\n\n";
    let programs = [
        // A use that is part of nothing; a name that may have a coroutine as well as something else.
        (
            "async def f():\n    v = asyncio.create_task(work())\n    v.add_done_callback(print)\n    assert v\n",
            "    assert v\n",
            "",
        ),
        ("async def f(x):\n    v = work() if x else thirdparty.obj()\n    v.run()\n    y = v\n", "    y = v\n", ""),
        // What cancels, before a handler or behind it.
        (
            "async def f(task):\n    task.cancel()\n    try:\n        await asyncio.sleep(1)\n    except BaseException:\n        log.info('no')\n    finally:\n        print(1)\n",
            "    task.cancel()\n    try:\n        await asyncio.sleep(1)\n    except BaseException:\n        log.info('no')\n    finally:\n",
            "    try:\n        await asyncio.sleep(1)\n    except BaseException:\n        log.info('no')\n    finally:\n        task.cancel()\n",
        ),
        // A method may have made another loop of what was closed.
        (
            "class A:\n    def __init__(self):\n        self.loop = asyncio.new_event_loop()\n\n    def note(self):\n        print(1)\n\n    def stop(self):\n        self.loop.close()\n        self.note()\n        self.loop.call_soon(print)\n",
            "        self.note()\n",
            "",
        ),
    ];
    for (program, old, new) in programs {
        let before = format!("{head}{program}");
        assert!(carried_all(&[("start.py", &before)], &[("start.py", old, new)]).is_none(), "{program}");
    }
}

/// Edits one after the other, of which so many are carried over, and others refused: the report is the one of a new check.
fn one_by_one(files: &[(&str, &str)], edits: &[(&str, &str, &str)], expected: usize) {
    let mut count = 0;
    let settings = Settings::default();
    let know_all = |files: &[File]| files.iter().map(|file| know(&file.text)).collect::<Vec<_>>();
    let mut files: Vec<File> =
        files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
    let mut report = check(&files, know_all(&files), &settings);
    for (path, old, new) in edits {
        let index = files.iter().position(|file| file.path == *path).unwrap();
        let before = know(&files[index].text);
        assert!(files[index].text.contains(old), "{old}");
        files[index].text = files[index].text.replacen(old, new, 1);
        let now = know(&files[index].text);
        let whole = || Some(know_all(&files).into_iter().map(Into::into).collect());
        let carried = report.after(Edit { index, old: &before, new: &now }, &files, &settings, &whole);
        let fresh = check(&files, know_all(&files), &settings);
        if let Some(carried) = &carried {
            assert_eq!((&carried.findings, &carried.problems), (&fresh.findings, &fresh.problems), "{path}: {new}");
        }
        count += usize::from(carried.is_some());
        report = carried.unwrap_or(fresh);
    }
    assert_eq!(count, expected, "{edits:?}");
}

#[test]
fn ways_by_what_functions_are_given() {
    // A shorter way is gone: the longer one is told.
    one_by_one(
        &[
            ("helpers.py", "def helper(cb):\n    cb(1)\n"),
            ("lib.py", "import helpers\n\n\ndef run_it(cb):\n    cb(1)\n    helpers.helper(cb)\n"),
            (
                "main.py",
                "import asyncio, time\nimport lib\n\n\nasync def main():\n    lib.run_it(time.sleep)\n    await asyncio.sleep(1)\n\n\nasyncio.run(main())\n",
            ),
        ],
        &[("lib.py", "    cb(1)", "    print(1)")],
        1,
    );
    // The same with a function of the program.
    one_by_one(
        &[
            ("helpers.py", "def helper(cb):\n    cb(1)\n"),
            ("lib.py", "import helpers\n\n\ndef run_it(cb):\n    cb(1)\n    helpers.helper(cb)\n"),
            (
                "main.py",
                "import asyncio, time\nimport lib\n\n\ndef pause(n):\n    time.sleep(n)\n\n\nasync def main():\n    lib.run_it(pause)\n    await asyncio.sleep(1)\n\n\nasyncio.run(main())\n",
            ),
        ],
        &[("lib.py", "    cb(1)", "    print(1)")],
        1,
    );
    // A shorter way has come.
    one_by_one(
        &[
            ("lib.py", "def helper(cb):\n    cb(1)\n\n\ndef run_it(cb):\n    helper(cb)\n"),
            (
                "main.py",
                "import asyncio, time\nimport lib\n\n\nasync def main():\n    lib.run_it(time.sleep)\n    await asyncio.sleep(1)\n\n\nasyncio.run(main())\n",
            ),
        ],
        &[("lib.py", "    helper(cb)", "    cb(1)\n    helper(cb)")],
        0,
    );
}

#[test]
fn what_getters_and_decorators_do() {
    // A getter becomes one that does something.
    one_by_one(
        &[
            (
                "main.py",
                "import asyncio\nimport shop\n\n\nasync def main():\n    till = shop.Till()\n    till.total\n    print(till.name)\n    await asyncio.sleep(1)\n\n\nasyncio.run(main())\n",
            ),
            (
                "shop.py",
                "import time\n\n\nclass Till:\n    def __init__(self):\n        self._x = 1\n\n    @property\n    def total(self):\n        time.sleep(1)\n        return self._x\n\n    @property\n    def name(self):\n        return self._x\n",
            ),
        ],
        &[("shop.py", "    def name(self):\n        return self._x", "    def name(self):\n        return self.total")],
        0,
    );
    // Decorators hand on what they decorate.
    one_by_one(
        &[
            (
                "main.py",
                "import asyncio, time\nimport reg\n\n\n@reg.deco\ndef pause():\n    time.sleep(1)\n\n\nasync def main():\n    reg.dispatch()\n    await asyncio.sleep(1)\n\n\nasyncio.run(main())\n",
            ),
            (
                "reg.py",
                "HANDLERS = []\n\n\ndef deco(fn):\n    HANDLERS.append(fn)\n    return fn\n\n\ndef dispatch():\n    print(\"x\")\n",
            ),
        ],
        &[("reg.py", "    print(\"x\")", "    for handler in HANDLERS:\n        handler()")],
        1,
    );
    // So do classes that decorate.
    one_by_one(
        &[
            (
                "main.py",
                "import asyncio, time\nimport reg\n\n\n@reg.Reg\ndef pause():\n    time.sleep(1)\n\n\nasync def main():\n    pause.go()\n    await asyncio.sleep(1)\n\n\nasyncio.run(main())\n",
            ),
            (
                "reg.py",
                "class Reg:\n    def __init__(self, fn):\n        self.fn = fn\n\n    def go(self):\n        print(1)\n",
            ),
        ],
        &[("reg.py", "        print(1)", "        self.fn()")],
        1,
    );
}

#[test]
fn who_says_what_parameters_are() {
    // Somebody says for the first time what a parameter is.
    one_by_one(
        &[
            ("lib.py", "def f(cb):\n    cb()\n"),
            (
                "main.py",
                "import asyncio, time\nimport lib\n\n\ndef pause():\n    time.sleep(1)\n\n\nasync def first(thing):\n    lib.f(thing)\n    await asyncio.sleep(1)\n\n\nasync def second():\n    await asyncio.sleep(1)\n\n\nasync def main(thing):\n    await first(thing)\n    await second()\n",
            ),
        ],
        &[
            ("main.py", "    lib.f(thing)", "    lib.f(thing)\n    lib.f(pause)"),
            ("main.py", "async def second():", "async def second():\n    lib.f(pause)"),
        ],
        2,
    );
    // A function within calls what the one around was given.
    one_by_one(
        &[
            ("lib.py", "def outer(cb):\n    def inner():\n        print(\"x\")\n    inner()\n"),
            (
                "main.py",
                "import asyncio, time\nimport lib\n\n\ndef pause():\n    time.sleep(1)\n\n\ndef third():\n    lib.outer(pause)\n\n\nasync def first():\n    await asyncio.sleep(1)\n\n\nasync def second():\n    await asyncio.sleep(1)\n\n\nasync def main():\n    await first()\n    await second()\n",
            ),
        ],
        &[
            ("lib.py", "        print(\"x\")", "        cb()"),
            ("main.py", "async def second():", "async def second():\n    lib.outer(pause)"),
        ],
        2,
    );
}

#[test]
fn which_classes_fit() {
    // A method fits a protocol with one more parameter.
    one_by_one(
        &[
            ("lib.py", "import time\n\n\nclass Good:\n    def go(self, x):\n        time.sleep(1)\n"),
            (
                "main.py",
                "import asyncio\nfrom typing import Protocol\nimport lib\n\n\nclass Going(Protocol):\n    def go(self, x, y): ...\n\n\nasync def main(going: Going):\n    going.go(1, 2)\n    await asyncio.sleep(1)\n\n\nasync def start():\n    await main(lib.Good())\n\n\nasyncio.run(start())\n",
            ),
        ],
        &[(
            "lib.py",
            "    def go(self, x):\n        time.sleep(1)",
            "    def go(self, x, y=None):\n        time.sleep(1)\n        print(y)",
        )],
        0,
    );
    // A constructor does nothing more with its object: a field is what that was given.
    let remote = "import time\n\n\nclass Remote:\n    def put(self):\n        time.sleep(1)\n\n\nclass Base:\n    def prepare(self):\n        self.remote = Remote()\n\n    def put(self):\n        if self.remote is not None:\n            self.remote.put()\n\n\nclass Prepared(Base):\n    def __init__(self, remote=None):\n        self.remote = remote\n        self.prepare()\n";
    let main = "import asyncio\nimport remote\n\nprepared = remote.Prepared()\n\n\nasync def main():\n    await asyncio.sleep(0)\n    prepared.put()\n\n\nasyncio.run(main())\n";
    one_by_one(&[("main.py", main), ("remote.py", remote)], &[("remote.py", "        self.prepare()\n", "")], 0);
}

/// Somebody hands on a class or coroutine function, and what it is made with or called with.
const HANDED_ON: &str = "\
import asyncio
import time


class Client:
    def __init__(self, go, name=None, size=1):
        self.go = go
        self.name = name
        self.size = size

    def run(self):
        self.go()


async def work(what, name=None):
    await asyncio.sleep(0)
    what()


def make(factory, what):
    return factory(what)


def slow():
    time.sleep(1)


def fast():
    pass


async def main():
    client = make(Client, fast)
    client.run()
    await asyncio.sleep(1)


async def other():
    await make(work, fast)
";

#[test]
fn what_is_handed_on_by_way_of_others() {
    let other = "from lib import Client, fast, make, slow, work\n\n\ndef add():\n    return 3\n\n\ndef keep():\n    client = make(Client, fast)\n    later = make(work, fast)\n    return [client, later]\n";
    let files = [("lib.py", HANDED_ON), ("main.py", other)];
    // Others hear of it.
    one_by_one(&files, &[("main.py", "    return 3", "    client = make(Client, slow)\n    return 3")], 0);
    one_by_one(&files, &[("main.py", "client = make(Client, fast)", "client = make(Client, slow)")], 0);
    one_by_one(&files, &[("main.py", "later = make(work, fast)", "later = make(work, slow)")], 0);
    // A coroutine calls what it is given where it stands.
    one_by_one(
        &files,
        &[("main.py", "    return 3", "    later = make(work, slow)\n    print(later)\n    return 3")],
        1,
    );
}

#[test]
fn what_coroutines_call_where_they_stand() {
    let other = "import asyncio\nfrom lib import Client, fast, make, slow, work\n\n\nasync def use(client: Client):\n    print(client)\n    await asyncio.sleep(0)\n\n\ndef keep():\n    return [Client(slow), work(fast)]\n";
    let lib = HANDED_ON.replace("make(Client, fast)", "Client(fast)");
    let files = [("lib.py", &*lib), ("main.py", other)];
    // A field, of which those are asked who made the object.
    one_by_one(&files, &[("main.py", "    print(client)", "    later = work(client.go)\n    print(later)")], 1);
    one_by_one(
        &files,
        &[
            ("main.py", "    print(client)", "    print(fast)"),
            ("main.py", "import Client, fast, make", "import Client, make, work as fast"),
            ("main.py", "    print(fast)", "    later = fast(client.go)\n    print(later)"),
        ],
        2,
    );
}

#[test]
fn what_loops_are_told_by_way_of_others() {
    let program = "import asyncio\nimport time\nfrom time import sleep as pause\n\n\ndef slow():\n    time.sleep(1)\n\n\ndef tell(loop):\n    loop.call_soon(slow)\n    loop.call_soon(pause)\n\n\ndef hand_on(loop):\n    tell(loop)\n\n\nasync def main():\n    hand_on(asyncio.get_running_loop())\n    await asyncio.sleep(0)\n";
    one_by_one(&[("main.py", program)], &[("main.py", "call_soon(slow)", "call_soon(print)")], 0);
    one_by_one(
        &[("main.py", program)],
        &[("main.py", "from time import sleep as pause", "from asyncio import sleep as pause")],
        0,
    );
}

#[test]
fn calls_of_the_same_with_other_arguments() {
    let other = "from lib import Client, fast, slow, work\n\n\ndef keep(size, flag):\n    if flag:\n        client = Client(fast, 'a', size=size)\n        print(client.name)\n    later = work(fast, 'a')\n    print(later)\n";
    let files = [("lib.py", HANDED_ON), ("main.py", other)];
    // Of these arguments nobody hears.
    one_by_one(&files, &[("main.py", "size=size", "size=flag")], 1);
    one_by_one(&files, &[("main.py", "'a', size=size", "flag, size=size")], 1);
    one_by_one(&files, &[("main.py", "if flag:", "if not flag:")], 1);
    one_by_one(&files, &[("main.py", "work(fast, 'a')", "work(fast, flag)")], 1);
    one_by_one(&files, &[("main.py", "work(fast, 'a')", "work(fast, name=flag)")], 1);
    // Of these others do.
    one_by_one(&files, &[("main.py", "Client(fast, 'a'", "Client(slow, 'a'")], 0);
    one_by_one(&files, &[("main.py", "work(fast, 'a')", "work(slow, 'a')")], 0);
    one_by_one(&files, &[("main.py", "Client(fast, 'a', size=size)", "Client(*flag, size=size)")], 0);
}

#[test]
fn arguments_without_a_parameter_of_their_own() {
    let lib = "import asyncio\nimport time\n\n\nclass Group:\n    def __init__(self, *all, **others):\n        self.all = all\n        self.others = others\n\n    def run(self):\n        for one in self.all:\n            one()\n\n\nclass One:\n    def __init__(self, *all):\n        self.last = all[2]\n\n\ndef slow():\n    time.sleep(1)\n\n\ndef fast():\n    pass\n\n\nasync def use(group: Group, one: One):\n    group.run()\n    one.last()\n    await asyncio.sleep(0)\n";
    let main = "from lib import Group, One, fast, slow\n\n\ndef keep():\n    print(Group(1, 2, fast))\n    print(One(1, 2, fast))\n";
    let files = [("lib.py", lib), ("main.py", main)];
    one_by_one(&files, &[("main.py", "Group(1, 2, fast)", "Group(1, 2, slow)")], 0);
    one_by_one(&files, &[("main.py", "One(1, 2, fast)", "One(1, 2, slow)")], 0);
}

#[test]
fn names_of_modules_that_have_other_values() {
    let other = "import lib\nimport time\nfrom lib import fast as run\n\nPAUSE = None\n\n\nasync def first():\n    run()\n    await lib.other()\n\n\nasync def second():\n    if PAUSE:\n        PAUSE()\n    await lib.other()\n";
    let files = [("lib.py", HANDED_ON), ("main.py", other)];
    one_by_one(
        &files,
        &[
            ("main.py", "import fast as run", "import slow as run"),
            ("main.py", "PAUSE = None", "PAUSE = run"),
            ("main.py", "from lib import slow as run", "run = print"),
            ("main.py", "PAUSE = run", "PAUSE = time.sleep"),
        ],
        4,
    );
    // Somebody else has asked for it.
    let files = [
        ("lib.py", HANDED_ON),
        ("main.py", other),
        ("start.py", "import main\n\n\nasync def start():\n    main.run()\n"),
    ];
    one_by_one(&files, &[("main.py", "import fast as run", "import slow as run")], 0);
}

#[test]
fn fields_that_are_called_where_others_hand_them_on() {
    let lib = "import time\n\n\ndef slow():\n    time.sleep(1)\n\n\nclass Client:\n    def __init__(self, go):\n        self.go = go\n";
    let second = "FLAG = False\n\n\ndef run(client, x=None):\n    if FLAG:\n        print(x)\n    client.go()\n";
    let third = "import asyncio\nfrom lib import Client, slow\nfrom second import run\n\n\nasync def main():\n    run(Client(slow))\n    await asyncio.sleep(0)\n";
    let files = [("lib.py", lib), ("second.py", second), ("third.py", third)];
    one_by_one(
        &files,
        &[
            ("second.py", "client.go()", "client.go(x)"),
            ("second.py", "    client.go(x)", "    if FLAG:\n        client.go(x)"),
            ("second.py", "FLAG = False", "FLAG = 3"),
            ("second.py", "client.go(x)", "client.go()"),
        ],
        4,
    );
}

#[test]
fn as_many_as_can_be_asked() {
    let lib = "import time\n\n\ndef slow():\n    time.sleep(1)\n\n\nclass Client:\n    def __init__(self, go, name=None):\n        self.go = go\n\n    def run(self):\n        self.go()\n\n\nasync def use(client: Client):\n    client.run()\n    await client.wait()\n";
    let names = "one = 1\ntwo = 1\nfirst = 'first'\nsecond = 'second'\n";
    for others in 9..13 {
        let others: Vec<String> = (0..others).map(|number| format!("    Client(slow, 'n{number}')\n")).collect();
        let main = format!(
            "from lib import Client, slow\nfrom names import one as A, two as B\n\n\ndef others():\n{}\n\ndef keep():\n    return [Client(slow, A), Client(slow, B)]\n",
            others.concat()
        );
        let files = [("lib.py", lib), ("main.py", &*main), ("names.py", names)];
        let edits = [
            ("main.py", "import one as A, two as B", "import first as A, second as B"),
            ("main.py", "import first as A, second as B", "import one as A, two as B"),
        ];
        one_by_one(&files, &edits, if others.len() > 10 { 0 } else { 2 });
    }
}

const FIELDS: &str = "\
import asyncio
import time


class Quick:
    def run(self):
        return 1


class Slow:
    def run(self):
        time.sleep(1)
        return 1


class Worker:
    def __init__(self, size, mode=None):
        self._engine = Quick()
        self._size = size
        self.mode = mode

    async def work(self):
        self._engine.run()
        await asyncio.sleep(0)

    def ask(self, engine: Quick):
        engine.run()
        return self._size


async def main():
    worker = Worker(3)
    await worker.work()
    worker.ask(Slow())
    return Slow()
";

#[test]
fn fields_and_types_that_are_others() {
    let files =
        [("lib.py", FIELDS), ("other.py", "import lib\n\n\nasync def start():\n    lib.Worker(2).ask(lib.Quick())\n")];
    let edits = [
        ("lib.py", "self._engine = Quick()", "self._engine = Slow()"),
        ("lib.py", "self._engine = Slow()", "self._engine: Quick = Slow()"),
        ("lib.py", "self._engine: Quick = Slow()", "self._engine = None"),
        ("lib.py", "self._engine = None", "self._engine = Quick()\n        self._count = 0"),
        ("lib.py", "self._engine.run()", "self._other = Slow()\n        self._other.run()"),
        ("lib.py", "engine: Quick):", "engine: Slow):"),
        ("lib.py", "engine: Slow):", "engine: Slow) -> int:"),
    ];
    one_by_one(&files, &edits, 4);
    // Others read it; instances are told apart by it; what somebody was told a function returns is something else.
    let reading =
        [("lib.py", FIELDS), ("other.py", "import lib\n\n\nasync def start():\n    lib.Worker(2)._engine.run()\n")];
    one_by_one(&reading, &[("lib.py", "self._engine = Quick()", "self._engine = Slow()")], 0);
    let told = [("lib.py", "self.mode = mode", "self.mode = size")];
    one_by_one(&[("lib.py", FIELDS)], &told, 0);
    let stub = FIELDS.replacen(
        "def ask(self, engine: Quick):",
        "def make(self) -> Quick:\n        ...\n\n    def ask(self, engine: Quick):",
        1,
    );
    let stub = stub.replacen("worker.ask(Slow())", "worker.make().run()", 1);
    one_by_one(&[("lib.py", &stub)], &[("lib.py", "-> Quick:", "-> Slow:")], 0);
}

/// Calls of functions that are there no more are no calls, whatever numbers functions have then.
#[test]
fn functions_that_are_there_no_more() {
    let main = "import anyio\n\n\nclass Board:\n    def create_task(self, title):\n        return title\n\n\ndef create_task(x):\n    return x\n\n\nasync def main(client):\n    create_task(1)\n    client.create_task('b')\n    async with anyio.create_task_group() as group:\n        group.start_soon(main, 1)\n";
    one_by_one(
        &[("main.py", main)],
        &[
            ("main.py", "\n\ndef create_task(x):\n", ""),
            ("main.py", "client.create_task('b')", "client.create_task('close')"),
        ],
        2,
    );
}

#[test]
fn what_becomes_of_results() {
    let work =
        "async def work():\n    await asyncio.sleep(0)\n\n\ndef start():\n    return asyncio.create_task(work())\n\n\n";
    let main = format!(
        "import asyncio\n\n\n{work}async def offload():\n    await asyncio.to_thread(work)\n    x = await asyncio.to_thread(work)\n    await x\n\n\nasync def wrap(future):\n    made = asyncio.run_coroutine_threadsafe(work(), asyncio.get_running_loop())\n    print(future)\n    await asyncio.wrap_future(future)\n    made.result()\n\n\nasync def tasks(xs):\n    one = start()\n    print(one)\n    print(all(work() for _ in xs))\n    print(len(xs))\n    await asyncio.sleep(0)\n\n\nasync def last(xs):\n    try:\n        await work()\n    finally:\n        for x in xs:\n            print(x)\n"
    );
    let edits = [
        ("main.py", "    await asyncio.to_thread(work)\n    x", "    await (await asyncio.to_thread(work))\n    x"),
        ("main.py", "    await x\n", "    print(1)\n"),
        ("main.py", "    print(1)\n", "    await x\n"),
        ("main.py", "    x = await", "    y = await"),
        ("main.py", "wrap_future(future)", "wrap_future(made)"),
        (
            "main.py",
            "    await asyncio.wrap_future(made)\n",
            "    if future:\n        await asyncio.wrap_future(made)\n",
        ),
        ("main.py", "    print(one)\n", "    len(one)\n"),
        ("main.py", "    len(one)\n", "    one.set_name('one')\n"),
        ("main.py", "all(work() for _ in xs)", "list(work() for _ in xs)"),
        ("main.py", "list(work() for _ in xs)", "any([work() for _ in xs])"),
        ("main.py", "len(xs)", "1 + work()"),
        ("main.py", "1 + work()", "not work()"),
        ("main.py", "            print(x)\n", "            break\n"),
        ("main.py", "        for x in xs:\n", "        if xs:\n"),
        ("main.py", "            break\n", "            return\n"),
    ];
    one_by_one(&[("main.py", &main)], &edits, 12);
}

#[test]
fn what_callbacks_of_other_files_give() {
    let lib = "import asyncio\n\n\nasync def work():\n    await asyncio.sleep(0)\n\n\ndef spawn(kept=[]):\n    kept.append(asyncio.create_task(work()))\n\n\nclass Table:\n    async def __aiter__(self):\n        try:\n            yield 1\n        finally:\n            await asyncio.sleep(0)\n";
    let main = "import asyncio\nfrom lib import Table, spawn\n\n\nasync def main():\n    asyncio.get_running_loop().call_soon(spawn)\n    async for row in Table():\n        return row\n";
    let edits = [
        ("lib.py", "kept.append(asyncio.create_task(work()))", "return asyncio.create_task(work())"),
        ("lib.py", "    return asyncio", "    task = asyncio"),
        ("lib.py", "create_task(work())\n", "create_task(work())\n    print(task)\n    return task\n"),
        ("lib.py", "    print(task)\n", "    kept.append(task)\n"),
        ("lib.py", "        try:\n            yield 1\n        finally:\n", "        if True:\n            yield 1\n"),
        ("lib.py", "        if True:\n            yield 1\n", "        with open('x'):\n            yield 1\n"),
        ("lib.py", "__aiter__", "__iter__"),
    ];
    one_by_one(&[("lib.py", lib), ("main.py", main)], &edits, 0);
}

/// What a function gives that uses what it itself gives depends on who was asked first.
#[test]
fn functions_that_use_what_they_give() {
    let main = "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n\n\nclass Runner:\n    def __init__(self, pool=None):\n        self.pool = pool or ThreadPoolExecutor(4)\n\n    def start(self, fn):\n        f = self.pool.submit(fn)\n        return f\n\n    def one(self):\n        return self.start(print).result()\n\n    async def go(self):\n        await asyncio.sleep(0)\n        self.one()\n        await asyncio.wrap_future(self.start(print))\n";
    let edit = ("main.py", "        f = self", "        return self.start(print).result()\n        f = self");
    one_by_one(&[("main.py", main)], &[edit], 0);
}

/// What functions within another one call is told by those who call that one: if they do no more, it is not called.
#[test]
fn what_functions_within_others_are_given() {
    let main = "import asyncio\nimport time\n\n\ndef later(callback, loop: asyncio.AbstractEventLoop):\n    def tick():\n        callback()\n\n    loop.call_later(1, tick)\n\n\ndef slow():\n    time.sleep(1)\n\n\nasync def main():\n    await asyncio.sleep(0)\n    later(slow, asyncio.get_running_loop())\n    print(1)\n";
    let edits = [
        ("main.py", "    later(slow, asyncio.get_running_loop())\n", ""),
        ("main.py", "    print(1)\n", "    later(slow, asyncio.get_running_loop())\n"),
    ];
    one_by_one(&[("main.py", main)], &edits, 0);
}

/// A name that is made of parts is in no file.
#[test]
fn fields_that_others_name_in_parts() {
    let lib =
        "import requests\n\n\nclass A:\n    def __init__(self):\n        self.my_conn = None\n        self.count = 0\n";
    let main = "from lib import A\n\nK = 'my'\n\n\nasync def f(x: A):\n    getattr(x, f'{K}_conn').get('u')\n";
    let files = [("lib.py", lib), ("main.py", main)];
    one_by_one(&files, &[("lib.py", "self.my_conn = None", "self.my_conn = requests.Session()")], 0);
    one_by_one(&files, &[("lib.py", "self.count = 0", "self.count = requests.Session()")], 1);
}

/// Coroutine functions that await nothing: not where their name may be of something else, nor where any attribute is asked for.
#[test]
fn coroutine_functions_that_may_not_be_plain() {
    let work = "async def work():\n    print(1)\n";
    one_by_one(&[("main.py", work)], &[("main.py", "    print(1)\n", "    print(1)\n\n\nwork = None\n")], 0);
    let asking = "class Alpha:\n    async def run(self):\n        print(1)\n\n\nALPHA = Alpha()\n\n\ndef slow(key):\n    print(getattr(ALPHA, 'helper'))\n";
    let edit = ("main.py", "    print(getattr", "    obj = getattr(ALPHA, key)\n    print(getattr");
    one_by_one(&[("main.py", asking)], &[edit], 0);
}

/// Behind what only returns where no loop runs, no loop runs.
#[test]
fn calls_that_do_not_return_on_a_loop() {
    let main = "import asyncio\n\n\nasync def work():\n    await asyncio.sleep(0)\n\n\ndef by_question():\n    try:\n        asyncio.get_running_loop()\n    except RuntimeError:\n        return asyncio.run(work())\n    raise TypeError('await work() instead')\n\n\ndef helper():\n    print(1)\n\n\nasync def main(x):\n    await work()\n    by_question()\n    helper()\n";
    let edits = [
        ("main.py", "    by_question()\n    helper", "    if x:\n        by_question()\n    helper"),
        ("main.py", "    print(1)\n", "    input()\n    print(1)\n"),
    ];
    one_by_one(&[("main.py", main)], &edits, 0);
}

const KINDS: &str = "\
import asyncio, time


class First:
    def ring(self):
        time.sleep(1)


class Second(First):
    def ring(self):
        time.sleep(2)

    def call(self, bell):
        bell.ring()


async def main():
    Second().call(First())
    asyncio.get_event_loop()


asyncio.run(main())
";

const OTHERS: &str = "\
import time, typing
import first


class Bell(typing.Protocol):
    def ring(self): ...


class Big(first.First):
    def ring(self):
        print('nothing')


class Tower:
    def __init__(self, bell: Bell):
        self.bell = bell

    def strike(self):
        self.bell.ring()


async def strike():
    Tower(Big()).strike()
    Tower(first.Second()).strike()
";

/// Classes of which nobody has heard come and go, and all others have other numbers.
#[test]
fn classes_come_and_go() {
    let files = [("first.py", KINDS), ("others.py", OTHERS)];
    let (first, with) = ("class First:\n", "class Odd(KeyError):\n    code = 3\n\n\nclass First:\n");
    let pause = ("first.py", "    asyncio.get_event_loop()\n", "    asyncio.get_event_loop()\n    time.sleep(3)\n");
    for class in [with, "class Odd:\n    pass\n\n\nclass Even(dict):\n    pass\n\n\nclass First:\n"] {
        assert!(carried_all(&files, &[("first.py", first, class)]).is_some(), "{class}");
        assert!(
            carried_all(&[("first.py", &KINDS.replacen(first, class, 1)), files[1]], &[("first.py", class, first)])
                .is_some()
        );
        // What comes after that finds them where they are.
        for next in [
            ("others.py", "        self.bell = bell\n", "        self.bell = bell\n        time.sleep(2)\n"),
            ("others.py", "async def strike():\n", "async def strike():\n    time.sleep(2)\n"),
        ] {
            let (report, _) = carry(&files, &[("first.py", first, class), next], true);
            assert!(report.is_some(), "{next:?}");
        }
        assert!(carried_all(&files, &[("first.py", first, class), pause]).is_some());
    }
    // Of a class that has come it is known what it derives from.
    let class = ("first.py", first, "class Shop(requests.Session):\n    pass\n\n\nclass First:\n");
    let used = ("first.py", "    asyncio.get_event_loop()\n", "    shop: Shop = window()\n    shop.get('u')\n");
    let other = ("others.py", "import time, typing\n", "import time, typing  # .\n");
    let imports =
        [("first.py", &*KINDS.replacen("import asyncio, time", "import asyncio, time, requests", 1)), files[1]];
    assert!(carried_all(&imports, &[class]).is_some());
    carry(&imports, &[class, other, used], true);
}

/// What was laid side by side in vain says nothing of what comes after it.
#[test]
fn names_that_are_gone() {
    let text = "import re\nimport soliloop\n\ndef sim():\n    yield sim\n\ndef test_what(sim, words: str) -> None:\n    \
                with raises(soliloop.DeadlockError) as caught:\n        sim.run(main())\n    \
                line = next(\n        line for line in str(caught.value).splitlines() if line.startswith('stuck')\n    )\n    \
                assert re.search(words, line), line\n    async def main() -> None:\n        soliloop.run(1)\n";
    carry(&[("main.py", text)], &[("main.py", "import soliloop\n", "")], true);
}

/// Nor does what a name was bound to for a while say what it is at the end.
#[test]
fn names_that_are_bound_anew() {
    let text = "import time\ndef again():\n    time.sleep(1)\ndef again():\n    pass\nasync def main():\n    await slow()\n    again()\n";
    carry(&[("main.py", text)], &[("main.py", "    pass\n", "    pass\nraise\n")], true);
}

/// A function that puts what it is given under a key, and nowhere else any more.
#[test]
fn keys_that_tell_from_now_on() {
    let text = "\
import asyncio, time

class Bus:
    def __init__(self):
        self.handlers = {}
        self.all = []

    def on(self, name, fn):
        self.handlers.setdefault(name, []).append(fn)
        self.all.append(fn)

    def emit(self, name):
        for fn in self.handlers.get(name, []):
            fn()

    def emit_all(self):
        for fn in self.all:
            fn()

def slow():
    time.sleep(0.001)


bus = Bus()
bus.on('x', slow)

async def main():
    await asyncio.sleep(0)
    bus.emit_all()
    bus.emit('x')
";
    let keys = ("main.py", "        self.all.append(fn)\n", "");
    let between = ("other.py", "x = 1\n", "x = 2\n");
    let name = ("main.py", "emit('x')", "emit('y')");
    carry(&[("main.py", text), ("other.py", "x = 1\n")], &[keys, between, name], true);
}

/// A method that a loop asks, and which changed what it reads, and now only reads it.
#[test]
fn what_loops_ask_is_looked_at() {
    let text = "\
import asyncio, time

class Bucket:
    def __init__(self):
        self.tokens = 0.0

    def take(self):
        self.tokens += time.monotonic()
        return self.tokens >= 1

async def main(bucket: Bucket):
    while not bucket.take():
        await asyncio.sleep(0.1)
";
    carry(&[("main.py", text)], &[("main.py", "        self.tokens += time.monotonic()\n", "")], true);
}

/// What a handler does in a loop, and now in any case.
#[test]
fn loops_in_handlers() {
    let text = "\
import asyncio

def fail(error):
    raise RuntimeError('x') from error

async def main(errors):
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError as error:
        for _ in errors:
            fail(error)
";
    carry(&[("main.py", text)], &[("main.py", "for _ in errors:", "if True:")], true);
    carry(&[("main.py", text)], &[("main.py", "        for _ in errors:\n            fail", "        fail")], true);
}

/// Special methods that come are asked by operators, truths and texts elsewhere, in the place of others too.
#[test]
fn special_methods_that_come() {
    let shop = "\
import time

class Price:
    def value(self):
        return 1
";
    let text = "\
import asyncio
import shop

async def main(price: shop.Price, total: shop.Price):
    await asyncio.sleep(0)
    total += price
    if price:
        print(f'{price} {price!r}', sorted([price, total]))
";
    let files = [("main.py", text), ("shop.py", shop)];
    for name in ["__format__", "__str__", "__repr__", "__bool__", "__len__", "__add__", "__iadd__", "__lt__", "__gt__"]
    {
        let method = format!("    def {name}(self, *other):\n        time.sleep(1)\n\n    def value(self)");
        let comes = ("shop.py", "    def value(self)", &*method);
        let goes = ("shop.py", &*method, "    def value(self)");
        let between = ("main.py", "(0)\n", "(1)\n");
        carry(&files, &[comes, between, goes], true);
    }
    let asks = ("main.py", "    if price:\n", "    if price or total:\n");
    let shows = ("main.py", "{price!r}", "{price!s}");
    let slow = shop.replace("value", "__str__").replace("return 1", "time.sleep(1)");
    carry(&[("main.py", text), ("shop.py", &slow)], &[asks, shows], true);
    let slow = shop.replace("value", "__bool__").replace("return 1", "time.sleep(1)");
    carry(&[("main.py", text), ("shop.py", &slow)], &[asks, shows], true);
}

/// A version that has ended, and one that has not.
#[test]
fn versions_that_end() {
    let text = "\
import asyncio, sys, time

async def main():
    await asyncio.sleep(0)
    if sys.version_info < (3, 8):
        time.sleep(1)
";
    carry(&[("main.py", text)], &[("main.py", "(3, 8)", "(3, 18)"), ("main.py", "sys, ", "")], true);
}

/// A coroutine that is dropped where it was asked before, and now also where nobody asked.
#[test]
fn coroutines_that_are_dropped_unasked() {
    let text = "\
import asyncio, inspect

class A:
    async def start(self):
        await asyncio.sleep(0)

    def run(self):
        if inspect.iscoroutinefunction(self.start):
            asyncio.run(self.start())
        else:
            self.start()
";
    let dropped =
        ("main.py", "        await asyncio.sleep(0)\n", "        self.start()\n        await asyncio.sleep(0)\n");
    carry(&[("main.py", text)], &[dropped], true);
}

/// A handler that hears of a function, which then does something else.
#[test]
fn handlers_that_ask_from_now_on() {
    let text = "\
import asyncio

async def step():
    await asyncio.sleep(1)

async def a():
    try:
        await step()
    except asyncio.CancelledError:
        print('here')
";
    let asks = ("main.py", "        print('here')\n", "        await step()\n");
    let between = ("other.py", "x = 1\n", "x = 2\n");
    let raises = ("main.py", "    await asyncio.sleep(1)\n", "    raise KeyError\n    await asyncio.sleep(1)\n");
    carry(&[("main.py", text), ("other.py", "x = 1\n")], &[asks, between, raises], true);
}

/// What is attached to loggers, and which loggers these are.
#[test]
fn loggers_that_call_the_program() {
    let logs = "\
import logging
import time

class Pager(logging.Handler):
    def emit(self, record):
        time.sleep(1)

class Calm(logging.Handler):
    def emit(self, record):
        return None

logging.getLogger('shop').addHandler(Pager())
";
    let text = "\
import asyncio
import logging
import logs

log = logging.getLogger('shop.orders')

def told():
    print('told')

async def main():
    await asyncio.sleep(0)
    log.debug('here')
    told()
";
    let files = [("logs.py", logs), ("main.py", text)];
    let edits = [
        ("main.py", "    told()\n", "    log.error('x')\n    told()\n"),
        ("main.py", "    print('told')\n", "    print('told')\n    log.warning('x')\n"),
        ("main.py", "log.debug", "log.error"),
        ("main.py", "'shop.orders'", "'other'"),
        ("main.py", "'shop.orders'", "'another.one'"),
        ("logs.py", "'shop'", "'shopping'"),
        ("logs.py", "addHandler(Pager", "addHandler(Calm"),
        ("logs.py", "logging.getLogger('shop').addHandler(Pager())\n", ""),
        ("logs.py", "addHandler(Pager())\n", "addHandler(Pager())\nlogging.getLogger('shop').setLevel(1)\n"),
        ("logs.py", "        time.sleep(1)\n", "        pass\n"),
        ("logs.py", "    def emit(self, record):\n        return", "    def filter(self, record):\n        return"),
        ("main.py", "import logs\n", "import logs\nlogging.getLogger('shop.orders').propagate = False\n"),
    ];
    for edit in edits {
        carry(&files, &[edit], true);
        let (path, old, new) = edit;
        let logs = ("main.py", "    log.debug('here')\n", "    log.debug('here')\n    log.error('there')\n");
        if path != "main.py" && !new.is_empty() {
            carry(&files, &[logs, edit, (path, new, old)], true);
        }
    }
    let silent = logs.replace("logging.getLogger('shop').addHandler(Pager())\n", "");
    let added =
        ("logs.py", "        return None\n", "        return None\n\nlogging.getLogger('shop').addHandler(Pager())\n");
    let says = ("main.py", "log.debug", "log.error");
    carry(&[("logs.py", &silent), ("main.py", text)], &[says, added], true);
}

/// Truths and texts that come where no text had any.
#[test]
fn special_methods_that_nobody_asked() {
    let text = "\
import time, asyncio

class Q:
    def __len__(self):
        time.sleep(1)

    def __repr__(self):
        time.sleep(1)

    def __add__(self, other):
        time.sleep(1)

def get():
    return Q()

async def main(x: Q):
    await asyncio.sleep(0)
    pass
    get()
";
    for line in ["if x: pass", "print(x)", "x += 1", "f'{x}'", "y = not x", "if get(): pass", "sorted([x])"] {
        carry(&[("main.py", text)], &[("main.py", "    pass\n", &format!("    {line}\n"))], true);
    }
    let other = ("other.py", "x = 1\n", "def k(x):\n    if x: pass\n");
    let asks = text.replace("    pass\n", "    if get(): pass\n");
    carry(&[("main.py", &asks), ("other.py", "x = 1\n")], &[other], true);
}

/// A call in a handler that says nothing, and does not return.
#[test]
fn calls_in_handlers_that_do_not_return() {
    let text = "\
import asyncio

def fail():
    raise RuntimeError('x')

async def main():
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        print('here')
";
    carry(
        &[("main.py", text)],
        &[("main.py", "        print('here')\n", "        fail()\n        print('here')\n")],
        true,
    );
}
