//! Literate cases: each Markdown file tells of one subject, with programs and what is to be found in them.
//!
//! A program is one section; its files are fenced blocks, each under a line with its path in backquotes (`main.py` if there is none). A comment
//! `#: CODE name > name > name` says that this line has that finding, with that chain (the ends of the names); all else must be silent. Calls that
//! are not followed, as `--strict` tells, are `#: strict`, with the number of functions that they mean or that share them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use soliloop_check::{File, Finding, Problem, Settings, check, know};
use std::path::Path;

struct Case {
    name: String,
    files: Vec<File>,
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths {
        for case in read(&path) {
            count += 1;
            let problems = look(&case);
            if !problems.is_empty() {
                wrong.push(format!(
                    "{} / {}\n    {}",
                    path.file_stem().unwrap().to_string_lossy(),
                    case.name,
                    problems.join("\n    ")
                ));
            }
        }
    }
    assert!(count > 40, "only {count} cases were found");
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn look(case: &Case) -> Vec<String> {
    let known = case.files.iter().map(|file| know(&file.text)).collect();
    let mut settings = Settings::default();
    settings.strict = true;
    let report = check(&case.files, known, &settings);
    let mut expected = expectations(case);
    let mut problems: Vec<String> = Vec::new();
    for problem in report.problems {
        match expected.iter().position(|expectation| expectation.is_note(&problem)) {
            Some(index) => drop(expected.remove(index)),
            None => problems.push(format!("said {}:{} {}", problem.path, problem.line, problem.message)),
        }
    }
    for finding in &report.findings {
        let found = expected.iter().position(|expectation| expectation.is(finding));
        match found {
            Some(index) => {
                expected.remove(index);
            }
            None => problems.push(format!(
                "found {}:{} {} {}",
                finding.place.path,
                finding.place.line,
                finding.code,
                chain(finding)
            )),
        }
    }
    problems.extend(
        expected.iter().map(|one| format!("missed {}:{} {} {}", one.path, one.line, one.code, one.chain.join(" > "))),
    );
    problems
}

struct Expectation {
    path: String,
    line: usize,
    code: String,
    chain: Vec<String>,
}

impl Expectation {
    fn is_note(&self, problem: &Problem) -> bool {
        let is_there = problem.path == self.path && problem.line == self.line && self.code == "strict";
        is_there && self.chain.iter().all(|count| problem.message.split(' ').any(|word| word == count))
    }

    fn is(&self, finding: &Finding) -> bool {
        let is_there = finding.place.path == self.path && finding.place.line == self.line && finding.code == self.code;
        let names: Vec<&str> = finding.chain.iter().map(|link| link.name.as_str()).collect();
        let fits = |wanted: &String, name: &&str| name == wanted || name.ends_with(&format!(".{wanted}"));
        is_there
            && (self.chain.is_empty()
                || (names.len() == self.chain.len() && self.chain.iter().zip(&names).all(|(one, two)| fits(one, two))))
    }
}

fn chain(finding: &Finding) -> String {
    finding.chain.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(" > ")
}

fn expectations(case: &Case) -> Vec<Expectation> {
    let mut all = Vec::new();
    for file in &case.files {
        for (number, line) in (1..).zip(file.text.lines()) {
            let Some((_, marks)) = line.split_once("#: ") else { continue };
            for mark in marks.split("; ") {
                let (code, chain) = mark.trim().split_once(' ').unwrap_or((mark.trim(), ""));
                let chain = chain.split(" > ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
                all.push(Expectation { path: file.path.clone(), line: number, code: code.to_owned(), chain });
            }
        }
    }
    all
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut name = String::from("main.py");
    let mut block: Option<String> = None;
    for line in text.lines() {
        match &mut block {
            Some(code) if line == "```" => {
                let file =
                    File { path: std::mem::replace(&mut name, "main.py".to_owned()), text: std::mem::take(code) };
                cases.last_mut().unwrap().files.push(file);
                block = None;
            }
            Some(code) => {
                code.push_str(line);
                code.push('\n');
            }
            None if line == "```python" => block = Some(String::new()),
            None => {
                if let Some(title) = line.strip_prefix("## ") {
                    cases.push(Case { name: title.to_owned(), files: Vec::new() });
                } else if let Some(file) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                    file.clone_into(&mut name);
                }
            }
        }
    }
    for case in &mut cases {
        assert!(!case.files.is_empty(), "{}: no code", case.name);
        case.files.sort_by(|one, other| one.path.cmp(&other.path));
    }
    cases
}
