//! Stamps the program with what its cache depends on: the sources of the checker. Facts that another build wrote are never read.

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=../check/src");
    println!("cargo::rerun-if-changed=src");
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    for folder in ["../check/src", "src"] {
        let mut files = BTreeSet::new();
        collect(Path::new(folder), &mut files);
        for file in files {
            hasher.write(file.to_string_lossy().as_bytes());
            hasher.write(&std::fs::read(&file).unwrap_or_default());
        }
    }
    println!("cargo::rustc-env=SOLILOOP_CHECK_BUILD={:016x}", hasher.finish());
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path);
        }
    }
}

/// The same on every machine and for every compiler, which std's hashers do not promise.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
