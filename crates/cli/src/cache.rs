//! What is known of files, kept on disk: facts by the hash of a file's text, and whole reports by the hash of all that they stand on.
//!
//! A cache is a folder with a subfolder per build of this program, as what is kept has no other version. In it are some packs, each of which has
//! the facts of several folders of sources, and a few reports: a file that is made costs more than one that grows. Each is written to a file of
//! its own and then renamed, so that whoever reads finds an old one or a new one, and of two runs at a time the last one stays, even if they check
//! other programs. Each part has a checksum. What is missing, damaged or of another build is not there: nothing that goes wrong here is told, or harms a check.

use crate::files::Read;
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use soliloop_check::{Edit, Knowledge, Known, Outlook, Report, Settings};
use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use twox_hash::{XxHash3_64, XxHash3_128};

/// A cache that can be written to.
pub(crate) struct Cache {
    folder: PathBuf,
}

/// A pack's table of contents; the texts of the entries follow it in the same order.
type Contents = Vec<Entry>;

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    /// Where the file is.
    place: String,
    /// Of its text.
    hash: u128,
    length: usize,
    checksum: u64,
}

/// A pack that was read.
struct Pack {
    contents: Contents,
    bytes: Vec<u8>,
    /// Where the first entry begins.
    first: usize,
}

/// The hash of a text, by which it is known again.
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot(bytes)
}

impl Cache {
    /// Opens the cache in this folder, which is made if need be; none, if that cannot be.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        let folder = root.join(STAMP);
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder).ok()?;
            // Version control and backups leave it alone.
            write(&root.join(".gitignore"), b"# Made by soliloop check.\n*\n").ok()?;
            write(&root.join("CACHEDIR.TAG"), TAG).ok()?;
            forget_old_builds(root);
        }
        Some(Self { folder })
    }

    /// What is known of each file: from here where it can be, else anew, and then kept here.
    pub(crate) fn know(&self, read: &Read) -> Vec<Knowledge> {
        let is_changed = AtomicBool::new(false);
        let packs: Vec<(String, Vec<usize>)> = by_pack(read).into_iter().collect();
        let known: Vec<Vec<Knowledge>> =
            packs.par_iter().map(|(pack, members)| self.pack(pack, members, read, &is_changed)).collect();
        if is_changed.into_inner() {
            self.tidy(&packs.iter().map(|(pack, _)| pack.as_str()).collect());
        }
        let mut all: Vec<Knowledge> = vec![Knowledge::default(); read.files.len()];
        for ((_, members), known) in packs.iter().zip(known) {
            for (index, known) in members.iter().zip(known) {
                all[*index] = known;
            }
        }
        all
    }

    /// What is known of some files of a pack.
    fn pack(&self, pack: &str, members: &[usize], read: &Read, is_changed: &AtomicBool) -> Vec<Knowledge> {
        let path = self.folder.join(pack);
        let old = Pack::read(&path);
        let kept: BTreeMap<&str, (&Entry, &[u8])> = old.as_ref().map(Pack::entries).unwrap_or_default();
        let known: Vec<(Knowledge, Option<Vec<u8>>)> = members
            .par_iter()
            .map(|index| {
                let entry = kept.get(place(read, *index)).filter(|(entry, _)| entry.hash == read.hashes[*index]);
                if let Some(known) = entry.and_then(|(entry, bytes)| decode(bytes, entry.checksum)) {
                    return (known, None);
                }
                let text = &read.files[*index].text;
                let known = soliloop_check::know(text);
                let bytes = postcard::to_extend(&known, Vec::with_capacity(text.len())).unwrap_or_default();
                (known, Some(bytes))
            })
            .collect();
        if known.iter().all(|(_, bytes)| bytes.is_none()) {
            return known.into_iter().map(|(known, _)| known).collect();
        }
        is_changed.store(true, Ordering::Relaxed);
        // Others than these may have been left out of this run; what is gone is forgotten.
        let checked: HashSet<&str> = members.iter().map(|index| place(read, *index)).collect();
        let is_there = |place: &str| checked.contains(place) || Path::new(place).exists();
        let mut entries: BTreeMap<&str, (Entry, &[u8])> = BTreeMap::new();
        for (place, (entry, bytes)) in kept.iter().filter(|(place, _)| is_there(place)) {
            entries.insert(place, ((*entry).clone(), bytes));
        }
        for (index, (_, bytes)) in members.iter().zip(&known) {
            let Some(bytes) = bytes else { continue };
            let (place, hash) = (place(read, *index), read.hashes[*index]);
            let checksum = XxHash3_64::oneshot(bytes);
            entries.insert(place, (Entry { place: place.to_owned(), hash, length: bytes.len(), checksum }, bytes));
        }
        let _ = write(&path, &packed(entries.into_values()));
        known.into_iter().map(|(known, _)| known).collect()
    }

    /// A report that was kept for this question, if the program is the same, or no edit since has changed what is found.
    pub(crate) fn report(&self, key: &Key, read: &Read, settings: &Settings) -> Option<Report> {
        let bytes = std::fs::read(self.folder.join(&key.slot)).ok()?;
        let (kept, rest) = split(&bytes)?;
        let kept: Kept<Report> = postcard::from_bytes(kept).ok()?;
        let is_same = kept.question == key.question && kept.files.len() == read.files.len();
        let mut changed = Vec::new();
        for (index, (path, hash)) in kept.files.iter().enumerate().filter(|_| is_same) {
            if read.files[index].path != *path {
                return None;
            }
            if read.hashes[index] != *hash {
                changed.push((index, *hash));
            }
        }
        if !is_same || changed.len() > MOST_EDITED {
            return None;
        }
        let mut report = kept.report;
        if !changed.is_empty() {
            let outline = split(rest).and_then(|(outline, _)| postcard::from_bytes(outline).ok());
            report = report.with(outline.flatten());
        }
        let mut news = Vec::new();
        for &(index, hash) in &changed {
            let file = &read.files[index];
            let old = self.facts(read, index, hash)?;
            let new = soliloop_check::know(&file.text);
            let edit = Edit { index, old: &old, new: &new };
            let whole = || self.know_between(read, &changed[news.len()..], (index, &new));
            report = report.after(edit, &read.files, settings, &whole)?;
            news.push(index);
        }
        if !changed.is_empty() {
            for index in news {
                self.pack(&pack_of(read, index), &[index], read, &AtomicBool::new(false));
            }
            self.keep(key, read, &report);
        }
        Some(report)
    }

    /// What is known of all files after some edits: the last one is this; those that are left are still to come.
    fn know_between(
        &self,
        read: &Read,
        left: &[(usize, u128)],
        (last, new): (usize, &Knowledge),
    ) -> Option<Vec<Known>> {
        let hash_of =
            |index: usize| left.iter().find(|(one, _)| *one == index).map_or(read.hashes[index], |(_, old)| *old);
        let packs: Vec<(String, Vec<usize>)> = by_pack(read).into_iter().collect();
        let parts = |(pack, members): &(String, Vec<usize>)| -> Option<Vec<(usize, Part)>> {
            let pack = Arc::new(Pack::read(&self.folder.join(pack))?);
            let entries = pack.places();
            let part = |index: &usize| {
                let entry = entries.get(place(read, *index)).filter(|(entry, _)| entry.hash == hash_of(*index));
                match entry {
                    Some((entry, place)) => Part::kept(&pack, entry, place),
                    // One that was edited before this one is not kept yet.
                    None => Some(Part::New(Box::new(soliloop_check::know(&read.files[*index].text)))),
                }
            };
            let others = members.iter().filter(|index| **index != last);
            others.map(|index| Some((*index, part(index)?))).collect()
        };
        let parts: Vec<Vec<(usize, Part)>> = packs.par_iter().map(parts).collect::<Option<_>>()?;
        let mut all: Vec<(usize, Part)> = parts.into_iter().flatten().collect();
        all.push((last, Part::New(Box::new(new.clone()))));
        all.sort_unstable_by_key(|(index, _)| *index);
        Some(all.into_iter().map(|(_, part)| part.into()).collect())
    }

    /// What is kept of a file whose text had this hash.
    fn facts(&self, read: &Read, index: usize, hash: u128) -> Option<Knowledge> {
        let pack = Pack::read(&self.folder.join(pack_of(read, index)))?;
        let entries = pack.entries();
        let (entry, bytes) = entries.get(place(read, index)).filter(|(entry, _)| entry.hash == hash)?;
        decode(bytes, entry.checksum)
    }

    /// Keeps the report of a question, in the place of the one that was in its slot.
    pub(crate) fn keep(&self, key: &Key, read: &Read, report: &Report) {
        let files = read.files.iter().map(|file| file.path.clone()).zip(read.hashes.iter().copied()).collect();
        let kept = postcard::to_stdvec(&Kept { question: key.question, files, report });
        let (Ok(kept), Ok(outline)) = (kept, postcard::to_stdvec(&report.outline())) else { return };
        let mut bytes = Vec::with_capacity(2 * HEAD + kept.len() + outline.len());
        add_whole(&mut bytes, &kept);
        add_whole(&mut bytes, &outline);
        let _ = write(&self.folder.join(&key.slot), &bytes);
    }

    /// Removes packs of which no file is there any more, and what runs that were ended in between have left.
    fn tidy(&self, used: &HashSet<&str>) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_old = || age(&entry.path()).is_some_and(|age| age > DAY);
            let is_rubbish = match name.rsplit_once('.') {
                Some((_, "facts")) if used.contains(&*name) => false,
                Some((_, "facts")) => !Pack::has_files(&entry.path()),
                Some((_, "new")) => is_old(),
                _ => false,
            };
            if is_rubbish {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// What was asked, and where the answer is kept.
pub(crate) struct Key {
    question: u128,
    slot: String,
}

/// A report, and what it stands on.
#[derive(Serialize, Deserialize)]
struct Kept<R> {
    question: u128,
    /// The files, and the hashes of their texts.
    files: Vec<(String, u128)>,
    report: R,
}

impl Key {
    /// `question` has all arguments and settings.
    pub(crate) fn new(question: &str) -> Self {
        let question = hash(question.as_bytes());
        Self { question, slot: format!("{:02}.report", question % SLOTS) }
    }
}

impl Pack {
    fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (contents, bodies) = split(&bytes)?;
        let contents: Contents = postcard::from_bytes(contents).ok()?;
        Some(Self { contents, first: bytes.len() - bodies.len(), bytes })
    }

    /// Whether any file is there of which a pack knows something; told without a look at the rest.
    fn has_files(path: &Path) -> bool {
        let contents = || {
            let mut file = std::fs::File::open(path).ok()?;
            let mut head = [0; HEAD];
            file.read_exact(&mut head).ok()?;
            let (length, checksum) = head.split_first_chunk::<8>()?;
            let mut contents = Vec::new();
            file.take(u64::from_le_bytes(*length)).read_to_end(&mut contents).ok()?;
            decode::<Contents>(&contents, u64::from_le_bytes(checksum.try_into().ok()?))
        };
        contents().is_some_and(|contents| contents.iter().any(|entry| Path::new(&entry.place).exists()))
    }

    /// All entries, by the places of their files.
    fn entries(&self) -> BTreeMap<&str, (&Entry, &[u8])> {
        self.places().into_iter().map(|(place, (entry, range))| (place, (entry, &self.bytes[range]))).collect()
    }

    /// The same, by the places of their bytes.
    fn places(&self) -> BTreeMap<&str, (&Entry, Range<usize>)> {
        let mut at = self.first;
        let mut all = BTreeMap::new();
        for entry in &self.contents {
            let end = at.saturating_add(entry.length);
            if end > self.bytes.len() {
                break;
            }
            all.insert(entry.place.as_str(), (entry, at..end));
            at = end;
        }
        all
    }
}

/// What is known of a file.
enum Part {
    New(Box<Knowledge>),
    /// In a pack: what must be known of each file, and where the rest is.
    Kept(Outlook, Arc<Pack>, Range<usize>),
}

impl Part {
    fn kept(pack: &Arc<Pack>, entry: &Entry, place: &Range<usize>) -> Option<Self> {
        let bytes = &pack.bytes[place.clone()];
        if XxHash3_64::oneshot(bytes) != entry.checksum {
            return None;
        }
        let (outlook, rest) = postcard::take_from_bytes(bytes).ok()?;
        Some(Self::Kept(outlook, Arc::clone(pack), place.end - rest.len()..place.end))
    }
}

impl From<Part> for Known {
    fn from(part: Part) -> Self {
        match part {
            Part::New(known) => (*known).into(),
            Part::Kept(outlook, pack, place) => {
                // The checksum has vouched for these bytes, and the folder for the build that wrote them: there is no other case.
                Self::new(outlook, move || postcard::from_bytes(&pack.bytes[place.clone()]).unwrap_or_default())
            }
        }
    }
}

fn packed<'b>(entries: impl Iterator<Item = (Entry, &'b [u8])>) -> Vec<u8> {
    let (contents, bodies): (Contents, Vec<&[u8]>) = entries.unzip();
    let contents = postcard::to_stdvec(&contents).unwrap_or_default();
    let length = bodies.iter().map(|body| body.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(HEAD + contents.len() + length);
    add_whole(&mut bytes, &contents);
    for body in bodies {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Adds bytes, after their length and checksum.
fn add_whole(all: &mut Vec<u8>, bytes: &[u8]) {
    all.extend((bytes.len() as u64).to_le_bytes());
    all.extend(XxHash3_64::oneshot(bytes).to_le_bytes());
    all.extend_from_slice(bytes);
}

/// The first of such bytes, and what follows them.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (first, rest) = rest.split_at_checked(length)?;
    (XxHash3_64::oneshot(first) == u64::from_le_bytes(*checksum)).then_some((first, rest))
}

fn decode<T: DeserializeOwned>(bytes: &[u8], checksum: u64) -> Option<T> {
    if XxHash3_64::oneshot(bytes) != checksum {
        return None;
    }
    postcard::from_bytes(bytes).ok()
}

/// Where a file is; nothing, if that is no text.
fn place(read: &Read, index: usize) -> &str {
    read.places[&read.files[index].path].to_str().unwrap_or_default()
}

/// The pack of a file: that of all files in its folder.
fn pack_of(read: &Read, index: usize) -> String {
    let folder = read.places[&read.files[index].path].parent().unwrap_or(Path::new(""));
    format!("{:02}.facts", XxHash3_64::oneshot(folder.as_os_str().as_encoded_bytes()) % PACKS)
}

/// The files of each pack.
fn by_pack(read: &Read) -> BTreeMap<String, Vec<usize>> {
    let mut packs: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for index in 0..read.files.len() {
        packs.entry(pack_of(read, index)).or_default().push(index);
    }
    packs
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let new = path.with_extension(format!("{}-{number}.new", std::process::id()));
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

/// Other builds may be in use as well, but not if they wrote nothing for a month.
fn forget_old_builds(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_build = entry.file_name().to_string_lossy().starts_with(PREFIX) && path.is_dir();
        if is_build && age(&path).is_some_and(|age| age > DAY * 30) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

fn age(path: &Path) -> Option<Duration> {
    let modified = std::fs::symlink_metadata(path).and_then(|data| data.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}

/// How the folders of builds begin.
const PREFIX: &str = "check-";
/// The folder of this build: its version, and a hash of its sources.
const STAMP: &str = concat!("check-", env!("CARGO_PKG_VERSION"), "-", env!("SOLILOOP_CHECK_BUILD"));
/// Bytes of a length and a checksum.
const HEAD: usize = 16;
/// How many packs there are: after an edit one of them is written.
const PACKS: u64 = 32;
/// How many reports are kept.
const SLOTS: u128 = 16;
/// The most files that may have been edited.
const MOST_EDITED: usize = 16;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As <https://bford.info/cachedir/> says.
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# This folder was made by soliloop check.\n";
