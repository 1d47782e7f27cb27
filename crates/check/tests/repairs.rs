//! Literate repairs: each section has a program before and after, or why it is left alone (a line "Refused: ...").
//!
//! A line "Sync callers: wrapper" asks for plain functions that stay. Files are fenced blocks, each under a line with its path in backquotes (`main.py` if there is none); those behind a line "After:" are expected.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use soliloop_check::{File, Finding, Refusal, Repair, Settings, SyncCallers, check, fix, know};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Default)]
struct Case {
    name: String,
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
    refused: Vec<String>,
    keeps_plain: bool,
}

#[test]
fn repairs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repairs");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths {
        for case in read(&path) {
            count += 1;
            wrong.extend(look(&case).map(|problem| format!("{}: {problem}", case.name)));
        }
    }
    assert!(count >= 20, "only {count} repairs were found");
    assert!(wrong.is_empty(), "{} of {count} repairs:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn other_line_breaks() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repairs/runners.md");
    for line_break in ["\r\n", "\r"] {
        for mut case in read(&path) {
            // Imports that come and go have line breaks of their own.
            if case.after.iter().any(|(path, text)| text.lines().next() != case.before[path].lines().next()) {
                continue;
            }
            for text in case.before.values_mut().chain(case.after.values_mut()) {
                *text = text.replace('\n', line_break);
            }
            assert_eq!(look(&case), None, "{} with {line_break:?}", case.name);
        }
    }
}

#[test]
fn other_ways_are_those_that_help() {
    let refused = |blocking: &str| {
        let class = format!("class Slow:\n    def __init__(self):\n        {blocking}\n");
        let repair = repaired(&format!("import asyncio, time\n\n{class}\nasync def main():\n    Slow()\n"));
        assert_eq!(repair.refusals.len(), 1);
        repair.refusals
    };
    let (sleep, run) = (refused("time.sleep(1)"), refused("asyncio.run(work())"));
    assert!(Refusal::other_ways(&sleep).starts_with("hand the first function on the way to a thread"));
    assert!(Refusal::other_ways(&run).starts_with("let the loop nest: "));
    assert!(Refusal::other_ways(&[sleep, run].concat()).starts_with("for SL001, let the loop nest: "));
}

#[test]
fn helps_promise_no_repair_of_what_stays_plain() {
    let slow = "import asyncio, time\n\ndef slow(*_):\n    time.sleep(1)\n\n";
    for (program, help) in [
        (
            "class A:\n    def __getitem__(self, key):\n        slow()\n\nasync def main():\n    A()[1]\n",
            "Python calls `A.",
        ),
        (
            "class A:\n    def __init__(self):\n        slow()\n\nasync def main():\n    A()\n",
            "Python calls `A.__init__` as",
        ),
        ("async def main():\n    return sorted([2, 1], key=slow)\n", "a function on the way was handed over"),
        (
            "async def main():\n    asyncio.get_running_loop().call_soon(slow)\n",
            "`loop.create_task(...)` of a coroutine",
        ),
    ] {
        let repair = repaired(&format!("{slow}{program}"));
        let [found] = repair.report.findings.as_slice() else { panic!("{program}: {:?}", repair.report) };
        assert!(found.help.contains(help) && !found.help.contains("--fix"), "{program}: {}", found.help);
    }
}

fn repaired(text: &str) -> Repair {
    fix(&[File { path: "main.py".to_owned(), text: text.to_owned() }], vec![know(text)], &Settings::default())
}

fn look(case: &Case) -> Option<String> {
    let files: Vec<File> =
        case.before.iter().map(|(path, text)| File { path: path.clone(), text: text.clone() }).collect();
    let mut settings = Settings::default();
    settings.sync_callers = if case.keeps_plain { SyncCallers::Wrapper } else { SyncCallers::Run };
    let known: Vec<_> = files.iter().map(|file| know(&file.text)).collect();
    let chains = |finding: &Finding| matches!(finding.code, "SL001" | "SL002");
    let denies = |finding: &Finding| chains(finding) && !finding.help.contains("--fix") && finding.chain.len() > 2;
    let found = check(&files, known.clone(), &settings).findings;
    let denied = found.into_iter().find(|finding| case.refused.is_empty() && !case.after.is_empty() && denies(finding));
    if let Some(denied) = denied {
        return Some(format!("is repaired, but its help says {:?}", denied.help));
    }
    let repair = fix(&files, known, &settings);
    let mut result = case.before.clone();
    result.extend(repair.changed.clone());
    let mut expected = case.before.clone();
    expected.extend(case.after.clone());
    let reasons: Vec<&str> = repair.refusals.iter().map(|refusal| refusal.reason.as_str()).collect();
    for (path, text) in &expected {
        if result[path] != *text {
            return Some(format!("{path} became\n{}\n{reasons:?}", result[path]));
        }
    }
    if reasons.len() != case.refused.len()
        || !case.refused.iter().all(|wanted| reasons.iter().any(|reason| reason.contains(wanted.as_str())))
    {
        return Some(format!("refused for {reasons:?}"));
    }
    // What was repaired is found no more.
    let left = repair.report.findings.iter().find(|finding| case.refused.is_empty() && chains(finding));
    left.map(|finding| format!("still finds {}", finding.message))
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let (mut name, mut block, mut is_after) = (String::from("main.py"), None::<String>, false);
    for line in text.lines() {
        match &mut block {
            Some(code) if line == "```" => {
                let case = cases.last_mut().unwrap();
                let files = if is_after { &mut case.after } else { &mut case.before };
                files.insert(std::mem::replace(&mut name, "main.py".to_owned()), std::mem::take(code));
                block = None;
            }
            Some(code) => {
                code.push_str(line);
                code.push('\n');
            }
            None if line == "```python" => block = Some(String::new()),
            None => {
                if let Some(title) = line.strip_prefix("## ") {
                    cases.push(Case { name: title.to_owned(), ..Case::default() });
                    is_after = false;
                } else if line == "After:" {
                    is_after = true;
                } else if line == "Sync callers: wrapper" {
                    cases.last_mut().unwrap().keeps_plain = true;
                } else if let Some(reason) = line.strip_prefix("Refused: ") {
                    cases.last_mut().unwrap().refused.push(reason.to_owned());
                } else if let Some(file) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                    file.clone_into(&mut name);
                }
            }
        }
    }
    cases
}
