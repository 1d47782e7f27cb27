//! Files larger than most: what is known of small ones is known of them, in a time that grows as they do.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use soliloop_check::{File, Settings, check, know};
use std::fmt::Write;

#[test]
fn what_an_object_was_made_without_is_known_in_classes_of_any_size() {
    let mut text = BEGINNING.to_owned();
    for place in 0..METHODS {
        // Each calls the next one, and the last sets the field.
        writeln!(text, "    def step{place}(self, by):\n        self.step{}(self.size{place} + by)", place + 1)
            .unwrap();
    }
    writeln!(text, "    def step{METHODS}(self, by):\n        self.remote = by\n{END}").unwrap();
    let files = [File { path: "cache.py".to_owned(), text: text.clone() }];
    let report = check(&files, vec![know(&text)], &Settings::default());
    let blocking = report.findings.iter().filter(|finding| finding.name == "blocking-sleep");
    let lines = blocking.map(|finding| text.lines().nth(finding.place.line - 1).unwrap());
    assert_eq!(lines.collect::<Vec<_>>(), ["    filled.put()", "    stepped.put()"], "{report:?}");
}

const METHODS: usize = 5_000;

const BEGINNING: &str = "\
import time
class Remote:
    def put(self):
        time.sleep(1)
class Cache:
    def __init__(self, remote=None):
        self.remote = remote
    def put(self):
        if self.remote is not None:
            self.remote.put()
";

const END: &str = "\
empty = Cache()
filled = Cache(Remote())
stepped = Cache()
stepped.step0(1)
async def into_empty():
    empty.put()
async def into_filled():
    filled.put()
async def into_stepped():
    stepped.put()
";
