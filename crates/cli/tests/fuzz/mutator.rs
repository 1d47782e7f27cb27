//! Programs, changed at random.

use super::{LONGEST, Program};

/// Changes at random, but the same for the same seed.
pub(super) struct Mutator(pub(super) u64);

impl Mutator {
    pub(super) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    pub(super) fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.next(all.len())]
    }

    pub(super) fn program(&mut self, seeds: &[Program]) -> Program {
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

    /// An edit of a line, as people make them.
    pub(super) fn edit(&mut self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = self.next(lines.len() + 1);
        let below = lines.get(at).map_or("", String::as_str);
        let indent = below[..below.len() - below.trim_start().len()].to_owned();
        match self.next(17) {
            0 if at < lines.len() => drop(lines.remove(at)),
            12 if at < lines.len() => lines.insert(at, lines[at].clone()),
            13 => {
                // What a text says.
                let has_text = |place: &usize| lines[*place].split(['"', '\'']).count() > 2;
                let texts: Vec<usize> = (0..lines.len()).filter(has_text).collect();
                if !texts.is_empty() {
                    let place = *self.one_of(&texts);
                    let parts: Vec<&str> = lines[place].splitn(3, ['"', '\'']).collect();
                    let new = self.one_of(&["other words", "some words", "main", "x", "close"]);
                    lines[place] = lines[place].replacen(parts[1], new, 1);
                }
            }
            1 if at < lines.len() && self.next(4) == 0 => lines[at].push_str("  # noqa"),
            1 if at < lines.len() => lines[at] = self.changed_line(&lines[at].clone()),
            2 if !lines.is_empty() => {
                let copied = lines[self.next(lines.len())].trim().to_owned();
                lines.insert(at, format!("{indent}{copied}"));
            }
            3 => lines.push(format!("\n\n{}", self.one_of(ENDS))),
            6 => {
                // A call of a function that the file has or imports.
                let names = text.lines().filter_map(|line| {
                    let name =
                        line.strip_prefix("def ").or_else(|| line.split_once(" import ").map(|(_, name)| name))?;
                    name.split(['(', ',', ' ']).next()
                });
                let names: Vec<&str> = names.collect();
                if !names.is_empty() {
                    let arguments = self.one_of(&["", "", "1", "'x', 2", "x", "self", "main"]);
                    lines.insert(at, format!("{indent}{}({arguments})", self.one_of(&names)));
                }
            }
            4 | 5 => {
                let known = |stop: &&&str| {
                    stop.split_once('.').is_none_or(|(module, _)| text.contains(&format!("import {module}")))
                };
                let known: Vec<&&str> = STOPS.iter().filter(known).collect();
                lines.insert(at, format!("{indent}{}", self.one_of(&known)));
            }
            8 if at < lines.len() => {
                let moved = lines.remove(self.next(lines.len())).trim().to_owned();
                lines.insert(at.min(lines.len()), format!("{indent}{moved}"));
            }
            9 if at < lines.len() => self.wrap(&mut lines, at, &indent),
            10 => {
                // What a function begins with, which may push what is there out of what is looked at.
                if let Some((place, inner)) = self.body_of_some_function(&lines) {
                    let count = 1 + self.next(4);
                    let first: Vec<String> =
                        (0..count).map(|_| format!("{inner}{}", self.one_of(STATEMENTS))).collect();
                    lines.splice(place..place, first);
                }
            }
            11 => {
                let is_begin =
                    |place: &usize| *place > 0 && lines[place - 1].is_empty() && lines[*place].starts_with("def ");
                let begins: Vec<usize> = (0..lines.len()).filter(is_begin).collect();
                if !begins.is_empty() {
                    lines.insert(*self.one_of(&begins), format!("{}\n\n", self.one_of(ENDS)));
                }
            }
            14 => self.rename(&mut lines),
            15 => self.set_field(&mut lines),
            16 => self.annotate(&mut lines),
            _ => lines.insert(at, format!("{indent}{}", self.one_of(STATEMENTS))),
        }
        lines.join("\n") + "\n"
    }

    /// A name of some function is another one, from where it is bound to the end of the function.
    fn rename(&mut self, lines: &mut [String]) {
        let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
        let bound = |line: &str| {
            let name = line.strip_prefix("    ")?.trim_start().split_once(" = ")?.0;
            name.chars().all(is_word).then(|| name.to_owned())
        };
        let names: Vec<(usize, String)> =
            lines.iter().enumerate().filter_map(|(place, line)| Some((place, bound(line)?))).collect();
        if names.is_empty() {
            return;
        }
        let (from, name) = self.one_of(&names).clone();
        let is_inner = |line: &&mut String| line.is_empty() || line.starts_with(' ');
        for line in lines[from..].iter_mut().take_while(is_inner) {
            let parts = line.split_inclusive(|sign| !is_word(sign)).map(|part| {
                let word = part.trim_end_matches(|sign| !is_word(sign));
                if word == name { format!("{word}_now{}", &part[word.len()..]) } else { part.to_owned() }
            });
            *line = parts.collect();
        }
    }

    /// A field of an object comes, goes, or is set to something else.
    fn set_field(&mut self, lines: &mut Vec<String>) {
        let field = |line: &str| {
            let (name, value) = line.trim_start().strip_prefix("self.")?.split_once(" = ")?;
            let is_name = name.split(':').next()?.chars().all(|sign| sign.is_alphanumeric() || sign == '_');
            is_name.then(|| (name.to_owned(), value.to_owned()))
        };
        let fields: Vec<(usize, (String, String))> =
            lines.iter().enumerate().filter_map(|(place, line)| Some((place, field(line)?))).collect();
        if fields.is_empty() {
            return;
        }
        let (place, (name, value)) = self.one_of(&fields).clone();
        let other = self.one_of(&fields).1.1.clone();
        let indent = lines[place][..lines[place].len() - lines[place].trim_start().len()].to_owned();
        let given =
            [other, "None".into(), "self".into(), "asyncio.Lock()".into(), format!("{value} or None"), "[]".into()];
        let new = self.one_of(&given).clone();
        match self.next(4) {
            0 => drop(lines.remove(place)),
            1 => lines.insert(place, format!("{indent}self.{name}_too = {new}")),
            2 => {
                lines[place] = format!("{indent}self.{}: object = {value}", name.split(':').next().unwrap_or_default());
            }
            _ => lines[place] = format!("{indent}self.{name} = {new}"),
        }
    }

    /// A parameter, or what a function returns, is said to be of another type.
    fn annotate(&mut self, lines: &mut [String]) {
        let is_head = |place: &usize| {
            let line = lines[*place].trim_start();
            line.starts_with("def ") || line.starts_with("async def ")
        };
        let heads: Vec<usize> = (0..lines.len()).filter(is_head).collect();
        let classes: Vec<String> = lines
            .iter()
            .filter_map(|line| Some(line.trim_start().strip_prefix("class ")?.split(['(', ':']).next()?.to_owned()))
            .collect();
        if heads.is_empty() {
            return;
        }
        let place = *self.one_of(&heads);
        let known = ["int", "str", "object", "asyncio.Lock", "'Client'"].map(str::to_owned);
        let class = self.one_of(&[&known[..], &classes].concat()).clone();
        let line = lines[place].clone();
        if self.next(3) == 0 {
            let (head, body) = line.rsplit_once(':').unwrap_or((&line, ""));
            let head = head.split(" -> ").next().unwrap_or(head);
            lines[place] = format!("{head} -> {class}:{body}");
            return;
        }
        let Some((head, rest)) = line.split_once('(') else { return };
        let parameters: Vec<&str> = rest.split([',', ')']).collect();
        let name = self.one_of(&parameters).trim().split([':', '=', ' ']).next().unwrap_or_default().to_owned();
        if name.is_empty() || !name.chars().all(|sign| sign.is_alphanumeric() || sign == '_') {
            return;
        }
        let told = parameters.iter().find(|one| one.trim().split([':', '=', ' ']).next() == Some(&name));
        let told = told.copied().unwrap_or_default();
        let default = told.split_once('=').map_or(String::new(), |(_, default)| format!(" = {}", default.trim()));
        let new = if self.next(4) == 0 { format!("{name}{default}") } else { format!("{name}: {class}{default}") };
        lines[place] = format!("{head}({}", rest.replacen(told.trim(), &new, 1));
    }

    /// A line comes into a block.
    fn wrap(&mut self, lines: &mut Vec<String>, at: usize, indent: &str) {
        let inner = format!("    {}", lines[at]);
        let (head, foot) = *self.one_of(BLOCKS);
        let mut block = vec![format!("{indent}{head}"), inner];
        block.extend((!foot.is_empty()).then(|| format!("{indent}{foot}")));
        lines.splice(at..=at, block);
    }

    /// Where the body of some function begins, and how far it is indented.
    fn body_of_some_function(&mut self, lines: &[String]) -> Option<(usize, String)> {
        let is_head = |line: &str| {
            line.ends_with("):") && ["def ", "async def "].iter().any(|word| line.trim().starts_with(word))
        };
        let heads: Vec<usize> = (0..lines.len()).filter(|place| is_head(&lines[*place])).collect();
        let head = *heads.get(self.next(heads.len()))?;
        let indent = lines[head].len() - lines[head].trim_start().len();
        Some((head + 1, " ".repeat(indent + 4)))
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

const STATEMENTS: &[&str] = &[
    "x = 1",
    "retries = 3",
    "name = 'x'",
    "x += 1",
    "print('here')",
    "print(self)",
    "print(task, x)",
    "log.info('x')",
    "logging.getLogger(__name__).warning('x')",
    "import os",
    "import logging, time",
    "from time import sleep",
    "y = self.name + 1",
    "started = time.monotonic()",
    "time.sleep(1)",
    "import requests, subprocess",
    "await asyncio.sleep(0)",
    "asyncio.run(main())",
    "loop = asyncio.get_event_loop()",
    "y = len([1, 2]) > 1",
    "z = {'a': x, 'b': str(y)}",
    "if x: y = 2",
    "return None",
    "raise",
    "pass",
    "# a comment",
    "x = 1  # noqa",
    "# noqa: SL002",
    "task = None",
    "async def f(): pass",
    "main = print",
    "text = f'{x} {y}'.upper()",
    "for _ in range(3): print(_)",
    "title = 'éé🐍éé'",
    "helper(self)",
    "helper(main)",
    "HOOK = x",
    "global main",
    "kept['x'] = main",
    "requests.patch('x')",
    "return",
    "raise RuntimeError",
    "asyncio.get_running_loop()",
    "kept = [main]",
    "def inner(): time.sleep(1)",
    "if not x: raise RuntimeError",
];
/// Around a line.
const BLOCKS: &[(&str, &str)] = &[
    ("if x:", ""),
    ("if not x:", ""),
    ("for _ in range(3):", ""),
    ("while x:", ""),
    ("with x:", ""),
    ("try:", "except Exception: pass"),
    ("try:", "finally: print(1)"),
    ("if asyncio.get_running_loop():", ""),
];
/// Calls that block.
const STOPS: &[&str] = &[
    "time.sleep(1)",
    "time.sleep(x)",
    "time.sleep(len(sys.argv))",
    "requests.post('u', data=x)",
    "requests.get('u')",
    "subprocess.call(['ls'])",
    "os.system('ls')",
    "socket.getaddrinfo('localhost', 80)",
    "input()",
    "open('x')",
];
const ENDS: &[&str] = &[
    "LIMIT = 3",
    "def helper(x):\n    return x + 1",
    "def helper(x, log=print):\n    log(x)\n    time.sleep(x)",
    "async def helper():\n    return 3",
    "async def helper():\n    time.sleep(3)",
    "async def probe(x=1):\n    await asyncio.sleep(x)\n    time.sleep(x)",
    "async def probe():\n    return [main]",
    "class Helper:\n    pass",
    "class Probe(dict):\n    kind = 'x'",
    "class ProbeError(RuntimeError):\n    pass",
    "HOOK = None\n\n\ndef helper(x):\n    global HOOK\n    HOOK = x",
    "def helper():\n    try:\n        asyncio.get_running_loop()\n    except RuntimeError:\n        return\n    raise RuntimeError",
    "import json",
    "def main():\n    print('main')",
    "x = 1",
    "__all__ = []",
];
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
