//! Comments that silence findings: `# noqa`, `# noqa: SL001, SL003`, and for the whole file `# soliloop: noqa`.

use crate::facts::{Span, Suppression};
use crate::syntax::{LineIndex, Module};

/// All of them, in the order of the text.
pub(super) fn of(module: &Module, text: &str) -> Vec<Suppression> {
    let mut found = Vec::new();
    if !mentions_one(text.as_bytes()) {
        return found;
    }
    let mut lines = None;
    for (range, comment) in module.comments(text) {
        if let Some((is_file, codes)) = parse(comment) {
            let line = if is_file {
                Span::ALL
            } else {
                let lines = lines.get_or_insert_with(|| LineIndex::from_source_text(text));
                let line = super::span(lines.line_range(lines.line_index(range.start()), text));
                // What ends where the text does is on its last line.
                let is_last = line.end as usize == text.len() && !text.ends_with(['\n', '\r']);
                Span { end: line.end + u32::from(is_last), ..line }
            };
            found.push(Suppression { line, codes });
        }
    }
    found
}

/// Whether the word is anywhere: in most files it is not.
fn mentions_one(text: &[u8]) -> bool {
    let is_in_one = |place: usize| {
        let word = place.checked_sub("no".len()).and_then(|start| text[start..].get(.."noqa".len()));
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"noqa"))
    };
    memchr::memchr2_iter(b'q', b'Q', text).any(is_in_one)
}

/// What a comment silences: whether in the whole file, and which codes (none: all).
fn parse(comment: &str) -> Option<(bool, Vec<String>)> {
    let lower = comment.to_ascii_lowercase();
    let place = lower.find("noqa")?;
    let before = lower[..place].trim_start_matches('#').trim();
    let is_file = match before {
        "soliloop:" => true,
        _ if before.is_empty() || before.ends_with('#') => false,
        _ => return None,
    };
    let rest = comment[place + "noqa".len()..].trim_start();
    let Some(rest) = rest.strip_prefix(':') else { return Some((is_file, Vec::new())) };
    let words = rest.split(|sign: char| sign == ',' || sign.is_whitespace()).filter(|word| !word.is_empty());
    let codes: Vec<String> = words.take_while(|word| is_code(word)).map(str::to_ascii_uppercase).collect();
    Some((is_file, codes))
}

fn is_code(word: &str) -> bool {
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    letters > 0 && letters < word.len() && word.bytes().skip(letters).all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn forms() {
        let codes = |codes: &[&str]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(parse("# noqa"), Some((false, vec![])));
        assert_eq!(parse("#NOQA: SL001,SL003 because"), Some((false, codes(&["SL001", "SL003"]))));
        assert_eq!(parse("# type: ignore  # noqa: sl002"), Some((false, codes(&["SL002"]))));
        assert_eq!(parse("# soliloop: noqa"), Some((true, vec![])));
        assert_eq!(parse("# no noqa here"), None);
    }
}
