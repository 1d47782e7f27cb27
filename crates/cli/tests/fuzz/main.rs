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
use soliloop_check::{Edit, File, Knowledge, Report, Settings, check, fix, know};
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

/// A report that was carried over an edit is the one that the edited program gets: of the programs above, or, with `SOLILOOP_FUZZ_TREE`, of all
/// Python in a folder.
#[test]
fn edited_programs() {
    let tree = std::env::var_os("SOLILOOP_FUZZ_TREE");
    let seeds = tree.map_or_else(seeds, |folder| vec![seeds::tree(Path::new(&folder))]);
    let mut last: Option<(usize, Vec<File>, Vec<Knowledge>, Report)> = None;
    let carried = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = std::sync::Arc::clone(&carried);
    let settings = Settings::default();
    let count = for_each_seed(move |seed| {
        let mut random = mutator(seed);
        let program = random.next(seeds.len());
        if last.as_ref().is_none_or(|(known, ..)| *known != program) {
            let files = files_of(&seeds[program]);
            let known: Vec<Knowledge> = files.iter().map(|file| know(&file.text)).collect();
            let report = check(&files, known.clone(), &settings);
            last = Some((program, files, known, report));
        }
        let Some((_, files, known, report)) = &mut last else { return };
        let index = random.next(files.len());
        let text = random.edit(&files[index].text);
        let new = know(&text);
        let old_text = std::mem::replace(&mut files[index].text, text);
        let edit = Edit { index, old: &known[index], new: &new };
        if let Some(carried) = report.clone().after(edit, files, &settings) {
            let mut known = known.clone();
            known[index] = new.clone();
            let fresh = check(files, known, &settings);
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(
                (carried.findings, carried.problems),
                (fresh.findings, fresh.problems),
                "SOLILOOP_FUZZ_SEED={seed}: {} was\n{old_text}\n---- and is\n{}",
                files[index].path,
                files[index].text
            );
        }
        files[index].text = old_text;
    });
    let carried = carried.load(std::sync::atomic::Ordering::Relaxed);
    eprintln!("{count} edits, {carried} of them left the report as it was");
    assert!(carried > 0 || count < 100, "no report was ever carried over");
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

/// Bytes of a file.
const LONGEST: usize = 20_000;
/// For one program, in an unoptimised build on a busy machine.
const SLOWEST: Duration = Duration::from_secs(20);
