//! Programs that nobody would write: real ones and those of the literate cases, changed at random, through all that the checker does.
//!
//! Nothing panics; the same program gives the same report, also from facts that were kept; reports are well formed; a repair leaves every file as
//! readable as it was. `SOLILOOP_FUZZ_SECONDS` says how long (`make test-all`: ten minutes), `SOLILOOP_FUZZ_SEED` where to begin: each program has
//! a seed of its own, which a failure tells.

#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod mutator;
mod seeds;

use mutator::Mutator;
use seeds::seeds;
use soliloop_check::report::{Drawing, Style, concise, draw, github, json, sarif, statistics, text};
use soliloop_check::{Edit, File, Knowledge, Known, Report, Settings, check, fix, know};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The files of a program, by path.
type Program = BTreeMap<String, String>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Calls for one seed after the other until the time is over, on as much stack as the command gives: how many there were.
fn for_each_seed(mut look: impl FnMut(u64) + Send + 'static) -> u64 {
    let end = Instant::now() + Duration::from_secs(number("SOLILOOP_FUZZ_SECONDS", 3));
    let first = number("SOLILOOP_FUZZ_SEED", 1);
    let worker = std::thread::Builder::new().stack_size(256 << 20);
    let worker = worker.spawn(move || {
        for seed in first.. {
            if Instant::now() > end {
                return seed - first;
            }
            look(seed);
        }
        0
    });
    worker.unwrap().join().unwrap()
}

fn mutator(seed: u64) -> Mutator {
    Mutator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

#[test]
fn changed_programs() {
    let seeds = seeds();
    assert!(seeds.len() > 100, "only {} programs to begin with", seeds.len());
    let count = for_each_seed(move |seed| {
        let program = mutator(seed).program(&seeds);
        let began = Instant::now();
        let done = std::panic::catch_unwind(|| look(&program));
        if done.is_err() || began.elapsed() > SLOWEST {
            for (path, text) in &program {
                eprintln!("---- {path}\n{text}");
            }
            panic!("SOLILOOP_FUZZ_SEED={seed}: {:?}, after {:?}", done.is_ok(), began.elapsed());
        }
    });
    eprintln!("{count} programs");
}

/// A report that was carried over edits, one after the other, is the one that the edited program gets: of the programs above, or, with
/// `SOLILOOP_FUZZ_TREE`, of all Python in a folder.
#[test]
fn edited_programs() {
    let tree = std::env::var_os("SOLILOOP_FUZZ_TREE");
    let seeds = tree.map_or_else(seeds, |folder| vec![seeds::tree(Path::new(&folder))]);
    let mut last: Option<(usize, Edited)> = None;
    let counts = std::sync::Arc::new([const { std::sync::atomic::AtomicU32::new(0) }; 4]);
    let counters = std::sync::Arc::clone(&counts);
    let count = for_each_seed(move |seed| {
        let mut random = mutator(seed);
        let program = random.next(seeds.len());
        if last.as_ref().is_none_or(|(known, _)| *known != program) {
            last = Some((program, Edited::new(files_of(&seeds[program]))));
        }
        let Some((_, edited)) = &mut last else { return };
        let mut steps = Vec::new();
        for step in 0..EDITS {
            // Now and then two files at once.
            let mut changes = BTreeMap::new();
            for _ in 0..=usize::from(random.next(4) == 0) {
                let index = random.next(edited.files.len());
                changes.insert(index, random.edit(&edited.files[index].text));
            }
            let Some((old, [is_audible, is_asked])) = edited.step(changes, seed) else { break };
            for (counter, is_so) in counters.iter().zip([step == 0, step > 0, is_audible, is_asked]) {
                counter.fetch_add(u32::from(is_so), std::sync::atomic::Ordering::Relaxed);
            }
            steps.extend(old);
        }
        edited.undo(steps);
    });
    let [first, later, audible, asked] =
        [0, 1, 2, 3].map(|place| counts[place].load(std::sync::atomic::Ordering::Relaxed));
    eprintln!(
        "{count} edits, {first} of them carried over, and {later} after others; {audible} changed what is found, {asked} asked the whole program"
    );
    assert!((first > 0 && later > 0) || count < 100, "no report was ever carried over");
}

/// Files, with what was in them and what was known of that.
type Before = Vec<(usize, (String, Knowledge))>;

/// A program, with the report that was carried so far.
struct Edited {
    files: Vec<File>,
    known: Vec<Knowledge>,
    report: Report,
    first: Report,
}

impl Edited {
    fn new(files: Vec<File>) -> Self {
        let known: Vec<Knowledge> = files.iter().map(|file| know(&file.text)).collect();
        let report = check(&files, known.clone(), &Settings::default());
        Self { files, known, first: report.clone(), report }
    }

    /// What was there before the edits of some files, whether they changed what is found, and whether the whole program was asked; none, if
    /// the report could not be carried over.
    fn step(&mut self, changes: BTreeMap<usize, String>, seed: u64) -> Option<(Before, [bool; 2])> {
        let settings = Settings::default();
        let mut before: Before = Vec::new();
        for (index, text) in changes {
            let new = know(&text);
            let old_text = std::mem::replace(&mut self.files[index].text, text);
            before.push((index, (old_text, std::mem::replace(&mut self.known[index], new))));
        }
        let mut carried = Some(recalled(&self.report));
        let is_asked = std::cell::Cell::new(false);
        for (place, (index, (_, old))) in before.iter().enumerate() {
            let edit = Edit { index: *index, old, new: &self.known[*index] };
            let whole = || {
                is_asked.set(true);
                let mut all = self.known.clone();
                before[place + 1..].iter().for_each(|(later, (_, old))| all[*later] = old.clone());
                Some(all.iter().map(lazily).collect())
            };
            carried = carried.and_then(|report| report.after(edit, &self.files, &settings, &whole));
        }
        let Some(carried) = carried else {
            self.put_back(before);
            return None;
        };
        let fresh = check(&self.files, self.known.clone(), &settings);
        let told = |index: &usize, old: &str| {
            let File { path, text } = &self.files[*index];
            format!("{path} was\n{old}\n---- and is\n{text}")
        };
        assert_eq!(
            (&carried.findings, &carried.problems),
            (&fresh.findings, &fresh.problems),
            "SOLILOOP_FUZZ_SEED={seed}: {}",
            before.iter().map(|(index, (old, _))| told(index, old)).collect::<String>()
        );
        let is_audible = self.report.findings.len() != carried.findings.len();
        self.report = carried;
        Some((before, [is_audible, is_asked.get()]))
    }

    fn put_back(&mut self, before: Before) {
        for (index, (text, known)) in before.into_iter().rev() {
            self.files[index].text = text;
            self.known[index] = known;
        }
    }

    fn undo(&mut self, before: Before) {
        self.put_back(before);
        self.report = self.first.clone();
    }
}

/// What is known of a file, as it comes back from where it was kept, once somebody asks.
fn lazily(known: &Knowledge) -> Known {
    let bytes = postcard::to_stdvec(known).unwrap();
    let (outlook, rest) = postcard::take_from_bytes(&bytes).unwrap();
    let rest = rest.to_vec();
    Known::new(outlook, move || postcard::from_bytes(&rest).unwrap())
}

/// A report as it comes back from where it was kept.
fn recalled(report: &Report) -> Report {
    let outline = postcard::to_stdvec(&report.outline()).unwrap();
    let report: Report = postcard::from_bytes(&postcard::to_stdvec(report).unwrap()).unwrap();
    report.with(postcard::from_bytes(&outline).unwrap())
}

fn files_of(program: &Program) -> Vec<File> {
    program.iter().map(|(path, text)| File { path: path.clone(), text: text.clone() }).collect()
}

fn look(program: &Program) {
    let files = files_of(program);
    let settings = Settings::default();
    let known: Vec<Knowledge> = files.iter().map(|file| know(&file.text)).collect();
    let kept: Vec<Vec<u8>> = known.iter().map(|known| postcard::to_stdvec(known).unwrap()).collect();
    let report = check(&files, known, &settings);
    let known = kept.iter().map(|bytes| postcard::from_bytes(bytes).unwrap()).collect();
    let again = check(&files, known, &settings);
    assert_eq!(
        (&again.findings, &again.problems),
        (&report.findings, &report.problems),
        "kept facts say something else"
    );
    let again = recalled(&report);
    assert_eq!(
        (&again.findings, &again.problems),
        (&report.findings, &report.problems),
        "a kept report says something else"
    );
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

/// In a row.
const EDITS: usize = 6;
/// Bytes of a file.
const LONGEST: usize = 20_000;
/// For one program, in an unoptimised build on a busy machine.
const SLOWEST: Duration = Duration::from_secs(20);
