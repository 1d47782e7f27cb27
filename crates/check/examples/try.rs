#![allow(missing_docs, clippy::print_stdout)]
fn walk(dir: &std::path::Path, root: &std::path::Path, out: &mut Vec<(String, String)>) {
    let mut all: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    for p in all {
        if p.is_symlink() { continue; }
        if p.is_dir() { walk(&p, root, out); } else if p.extension().is_some_and(|e| e == "py") {
            if let Ok(text) = std::fs::read_to_string(&p) { out.push((p.strip_prefix(root).unwrap().to_string_lossy().into_owned(), text)); }
        }
    }
}
fn main() {
    let dir = std::env::args().last().unwrap();
    let root = std::path::Path::new(&dir).canonicalize().unwrap();
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    println!("{}", soliloop_check::check(files));
}
