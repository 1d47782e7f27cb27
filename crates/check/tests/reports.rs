//! Reports in the formats of others: what SARIF's schema (2.1.0) and GitHub's workflow commands ask of each.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use soliloop_check::{File, Problem, Report, Settings, check, know, report};

const PATH: &str = "ein weg/a,b:50%.py";
const PROGRAM: &str = "\
import asyncio, time
async def save():
    await asyncio.sleep(0)
def load():
    time.sleep(1)
async def main():
    load()
    save()
    loop = asyncio.get_event_loop()
    asyncio.create_task(save())
main()
";

fn reported() -> Report {
    let files = [("broken.py", "def broken(:\n"), (PATH, PROGRAM)];
    let files = files.map(|(path, text)| File { path: path.to_owned(), text: text.to_owned() });
    let known = files.iter().map(|file| know(&file.text)).collect();
    let mut report = check(&files, known, &Settings::default());
    assert!(report.findings.len() >= 4 && report.problems.len() == 1, "{report:?}");
    report.problems.push(Problem { path: PATH.to_owned(), line: 0, message: "50%\r\nof it: all, of it".to_owned() });
    report
}

#[test]
fn github_escapes_what_its_commands_take_for_signs() {
    let mut report = reported();
    report.findings[0].message = "50%\r\nof it: all, of it".to_owned();
    let text = report::github(&report);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), report.findings.len() + report.problems.len());
    for line in &lines[..report.findings.len()] {
        assert!(line.starts_with("::error file=ein weg/a%2Cb%3A50%25.py,line=") || line.starts_with("::warning "));
    }
    assert!(lines[0].contains("::50%25%0D%0Aof it: all, of it%0A"), "{}", lines[0]);
    let last = "::warning file=ein weg/a%2Cb%3A50%25.py,line=1::50%25%0D%0Aof it: all, of it";
    assert_eq!(lines[lines.len() - 1], last);
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let log: Value = serde_json::from_str(&report::sarif(&reported())).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let [run] = list(&log["runs"]) else { panic!("one run") };
    let driver = &run["tool"]["driver"];
    is_text(&driver["name"]);
    let rules = list(&driver["rules"]);
    for rule in rules {
        is_text(&rule["id"]);
        is_text(&rule["shortDescription"]["text"]);
        is_text(&rule["help"]["text"]);
        is_level(&rule["defaultConfiguration"]["level"]);
    }
    for result in list(&run["results"]) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        is_text(&result["message"]["text"]);
        is_level(&result["level"]);
        is_location(&list(&result["locations"])[0]);
        for flow in list(&result["codeFlows"]) {
            let [thread] = list(&flow["threadFlows"]) else { panic!("one thread") };
            let steps = list(&thread["locations"]);
            assert!(!steps.is_empty());
            for step in steps {
                is_location(&step["location"]);
            }
        }
    }
    let [invocation] = list(&run["invocations"]) else { panic!("one invocation") };
    assert!(invocation["executionSuccessful"].is_boolean());
    for note in list(&invocation["toolExecutionNotifications"]) {
        is_text(&note["message"]["text"]);
        is_level(&note["level"]);
        is_location(&list(&note["locations"])[0]);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn is_text(value: &Value) {
    assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{value}");
}

fn is_level(value: &Value) {
    assert!(matches!(value.as_str(), Some("none" | "note" | "warning" | "error")), "{value}");
}

fn is_location(value: &Value) {
    let place = &value["physicalLocation"];
    let uri = place["artifactLocation"]["uri"].as_str().unwrap();
    assert!(matches!(uri, "ein%20weg/a%2Cb%3A50%25.py" | "broken.py"), "{uri}");
    let number = |name: &str| place["region"].get(name).map(|number| number.as_u64().unwrap());
    let (line, column) = (number("startLine").unwrap(), number("startColumn").unwrap_or(1));
    let end = (number("endLine").unwrap_or(line), number("endColumn").unwrap_or(column));
    assert!(line >= 1 && column >= 1 && end >= (line, column), "{place}");
}
