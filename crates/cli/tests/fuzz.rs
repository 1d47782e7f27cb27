//! Programs that nobody would write: real ones and those of the literate cases, changed at random, through all that the checker does.
//!
//! Nothing panics; the same program gives the same report, also from facts that were kept; reports are well formed; a repair leaves every file as
//! readable as it was. `SOLILOOP_FUZZ_SECONDS` says how long (`make test-all`: ten minutes), `SOLILOOP_FUZZ_SEED` where to begin: each program has
//! a seed of its own, which a failure tells.

#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use soliloop_check::report::{Drawing, Style, concise, draw, github, json, sarif, statistics, text};
use soliloop_check::{File, Knowledge, Report, Settings, check, fix, know};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The files of a program, by path.
type Program = BTreeMap<String, String>;

#[test]
fn changed_programs() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(number("SOLILOOP_FUZZ_SECONDS", 3));
    let first = number("SOLILOOP_FUZZ_SEED", 1);
    // As much stack as the command gives.
    let worker = std::thread::Builder::new().stack_size(256 << 20);
    let worker = worker.spawn(move || {
        let seeds = seeds();
        assert!(seeds.len() > 100, "only {} programs to begin with", seeds.len());
        for seed in first.. {
            if Instant::now() > end {
                return seed - first;
            }
            let program = Mutator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).program(&seeds);
            let began = Instant::now();
            let done = std::panic::catch_unwind(|| look(&program));
            if done.is_err() || began.elapsed() > SLOWEST {
                for (path, text) in &program {
                    eprintln!("---- {path}\n{text}");
                }
                panic!("SOLILOOP_FUZZ_SEED={seed}: {:?}, after {:?}", done.is_ok(), began.elapsed());
            }
        }
        0
    });
    let count = worker.unwrap().join().unwrap();
    eprintln!("{count} programs");
}

fn look(program: &Program) {
    let files: Vec<File> = program.iter().map(|(path, text)| File { path: path.clone(), text: text.clone() }).collect();
    let settings = Settings::default();
    let known: Vec<Knowledge> = files.iter().map(|file| know(&file.text)).collect();
    let kept: Vec<Vec<u8>> = known.iter().map(|known| postcard::to_stdvec(known).unwrap()).collect();
    let report = check(&files, known, &settings);
    let known = kept.iter().map(|bytes| postcard::from_bytes(bytes).unwrap()).collect();
    assert_eq!(check(&files, known, &settings), report, "facts that were kept say something else");
    let kept = postcard::to_stdvec(&report).unwrap();
    assert_eq!(postcard::from_bytes::<Report>(&kept).unwrap(), report, "a report that was kept says something else");
    tell(&report, program);
    let repaired = || fix(&files, files.iter().map(|file| know(&file.text)).collect(), &settings);
    let repair = repaired();
    assert_eq!(repaired().changed, repair.changed, "a second repair is another one");
    let is_broken = |report: &Report, path: &str| report.problems.iter().any(|problem| problem.path == path);
    for (path, text) in &repair.changed {
        let was_whole = !is_broken(&report, path);
        assert!(!was_whole || !is_broken(&repair.report, path), "{path} does not parse any more:\n{text}");
        assert_ne!(&program[path], text, "{path} has not changed");
    }
}

fn tell(report: &Report, program: &Program) {
    let line_of = |path: &str, line: usize| program[path].lines().nth(line - 1).map(str::to_owned);
    for style in [Style::Plain, Style::Coloured] {
        text(report, style, &line_of);
    }
    assert_eq!(concise(report).lines().count() > 1, !report.findings.is_empty() || !report.problems.is_empty());
    assert_eq!(github(report).lines().count(), report.findings.len() + report.problems.len());
    let lines = statistics(report).lines().count();
    assert!(lines <= report.findings.len());
    draw(report, Drawing::Mermaid);
    draw(report, Drawing::Dot);
    let told: serde_json::Value = serde_json::from_str(&json(report)).unwrap();
    assert_eq!(told["findings"].as_array().unwrap().len(), report.findings.len());
    let told: serde_json::Value = serde_json::from_str(&sarif(report)).unwrap();
    assert_eq!(told["runs"][0]["results"].as_array().unwrap().len(), report.findings.len());
}

/// Programs to begin with: those of the literate cases, and the project's own Python.
fn seeds() -> Vec<Program> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut programs = Vec::new();
    for folder in ["crates/check/tests/cases", "crates/check/tests/repairs"] {
        for path in files(&root.join(folder), "md") {
            programs.extend(literate(&std::fs::read_to_string(path).unwrap()));
        }
    }
    for folder in ["python", "examples", "tests/cli", "tests/simulation"] {
        for path in files(&root.join(folder), "py") {
            let text = std::fs::read_to_string(path).unwrap();
            if text.len() < LONGEST {
                programs.push([("main.py".to_owned(), text)].into());
            }
        }
    }
    programs
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The Python of each section of a Markdown file.
fn literate(text: &str) -> Vec<Program> {
    let mut programs = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let mut program = Program::new();
        for (before, rest) in section.match_indices("```python\n").map(|(at, fence)| section.split_at(at + fence.len()))
        {
            let line = before.trim_end().lines().rev().nth(1).unwrap_or_default();
            let line = if line.is_empty() { before.trim_end().lines().rev().nth(2).unwrap_or_default() } else { line };
            let path = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or("main.py");
            let code = rest.split("```").next().unwrap_or_default();
            program.entry(path.to_owned()).or_insert_with(|| code.to_owned());
        }
        if !program.is_empty() {
            programs.push(program);
        }
    }
    programs
}

/// Changes at random, but the same for the same seed.
struct Mutator(u64);

impl Mutator {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.next(all.len())]
    }

    fn program(&mut self, seeds: &[Program]) -> Program {
        let mut program = self.one_of(seeds).clone();
        for _ in 0..=self.next(6) {
            let path = self.one_of(&program.keys().cloned().collect::<Vec<_>>()).clone();
            let other = self.one_of(seeds).values().next().cloned().unwrap_or_default();
            let text = program.get_mut(&path).unwrap();
            *text = self.change(text, &other);
            let end = (0..=LONGEST.min(text.len())).rev().find(|place| text.is_char_boundary(*place));
            text.truncate(end.unwrap_or_default());
        }
        program
    }

    fn change(&mut self, text: &str, other: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let others: Vec<&str> = other.lines().collect();
        if lines.is_empty() {
            return other.to_owned();
        }
        let at = self.next(lines.len());
        match self.next(12) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[self.next(lines.len())].clone()),
            2 => {
                let with = self.next(lines.len());
                lines.swap(at, with);
            }
            3 => {
                let from = self.next(others.len().max(1));
                let block = others.iter().skip(from).take(1 + self.next(12)).map(|line| (*line).to_owned());
                lines.splice(at..at, block.collect::<Vec<_>>());
            }
            4 => lines[at].insert_str(0, self.one_of::<&str>(&[" ", "    ", "\t"])),
            5 => {
                let line = lines[at].trim_start().to_owned();
                lines[at] = line;
            }
            6 => lines[at] = self.deepened(&lines[at].clone()),
            7 => lines.truncate(at),
            _ => lines[at] = self.changed_line(&lines[at].clone()),
        }
        let end = *self.one_of(&["\n", "\n", "\n", "\n", "\r\n", "\r"]);
        lines.join(end) + "\n"
    }

    /// Some word or sign of a line is another one, goes, or comes.
    fn changed_line(&mut self, line: &str) -> String {
        let mut starts: Vec<usize> = vec![0];
        let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
        let mut last = None;
        for (place, sign) in line.char_indices() {
            if last.is_some_and(|last: char| is_word(last) != is_word(sign) || !is_word(sign)) {
                starts.push(place);
            }
            last = Some(sign);
        }
        starts.push(line.len());
        let token = self.next(starts.len() - 1);
        let (start, end) = (starts[token], starts[token + 1]);
        let new = *self.one_of(WORDS);
        match self.next(4) {
            0 => format!("{}{}", &line[..start], &line[end..]),
            1 => format!("{} {new} {}", &line[..start], &line[start..]),
            2 => format!("{}{new}{}", &line[..start], &line[end..]),
            _ => format!("{}{}{}", &line[..end], &line[start..end], &line[end..]),
        }
    }

    /// A line in many brackets, calls or conditions.
    fn deepened(&mut self, line: &str) -> String {
        let indent = &line[..line.len() - line.trim_start().len()];
        let count = self.next(60);
        let (open, close) = *self.one_of(PAIRS);
        format!("{indent}x = {}{}{}", open.repeat(count), line.trim(), close.repeat(count))
    }
}

const PAIRS: &[(&str, &str)] = &[
    ("(", ")"),
    ("[", "]"),
    ("f(", ")"),
    ("lambda: ", ""),
    ("await ", ""),
    ("{1: ", "}"),
    ("not ", ""),
    ("", ".f()"),
    ("", "[0]"),
];
const WORDS: &[&str] = &[
    "async",
    "await",
    "def",
    "class",
    "lambda",
    "yield",
    "yield from",
    "return",
    "with",
    "for",
    "in",
    "if",
    "else",
    "elif",
    "try:",
    "except",
    "finally:",
    "raise",
    "import",
    "from",
    "as",
    "global",
    "nonlocal",
    "del",
    "match",
    "case",
    "type",
    "is",
    "not",
    "and",
    "or",
    "while",
    "pass",
    "break",
    "continue",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    ".",
    "=",
    ":=",
    "*",
    "**",
    "@",
    "->",
    "==",
    "\\",
    "#",
    "# noqa",
    "'",
    "\"",
    "\"\"\"",
    "f'{",
    "}'",
    "self",
    "cls",
    "super()",
    "None",
    "0",
    "-1",
    "asyncio.run(",
    "time.sleep(1)",
    "loop.run_until_complete(f())",
    "get_running_loop()",
    "functools.partial",
    "é",
    "🐍",
    "\u{feff}",
    "\0",
    "\x0c",
    "\u{2028}",
    "main",
    "x",
    "...",
    "staticmethod",
    "property",
    "contextmanager",
    "__init__",
    "__call__",
    "__enter__",
    "Protocol",
];
/// Bytes of a file.
const LONGEST: usize = 20_000;
/// For one program, in an unoptimised build on a busy machine.
const SLOWEST: Duration = Duration::from_secs(20);
