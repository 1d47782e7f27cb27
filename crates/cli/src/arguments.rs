//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Find nested runs, blocking calls and their kin in asyncio programs, over the whole call graph.
#[expect(clippy::struct_excessive_bools, reason = "options of a command line")]
#[derive(Debug, Parser)]
#[command(name = "soliloop check", bin_name = "soliloop check", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Files and folders; the working folder if there are none. `-` is a program on standard input.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only these rules: codes, or their beginnings.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) select: Option<Vec<String>>,
    /// These rules too.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) extend_select: Vec<String>,
    /// Not these rules.
    #[arg(long, visible_alias = "extend-ignore", value_name = "CODES", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// List calls too that may mean too many functions to follow them.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to tell what was found.
    #[arg(long, visible_alias = "output-format", value_enum, default_value_t = Format::Full)]
    pub(crate) format: Format,
    /// Repair what can be: async all the way up.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Show the repairs as a diff, and change no file.
    #[arg(long)]
    pub(crate) diff: bool,
    /// What a repair does for callers that no loop runs [default: run].
    #[arg(long, value_enum, value_name = "WAY")]
    pub(crate) sync_callers: Option<SyncWay>,
    /// Draw the chains instead.
    #[arg(long, value_enum)]
    pub(crate) graph: Option<Graph>,
    /// Count the findings of each rule instead.
    #[arg(long)]
    pub(crate) statistics: bool,
    /// Say what a rule is about: its code or name.
    #[arg(long, value_name = "RULE")]
    pub(crate) explain: Option<String>,
    /// Exit with status 0 whatever was found.
    #[arg(long)]
    pub(crate) exit_zero: bool,
    /// Read no pyproject.toml.
    #[arg(long)]
    pub(crate) isolated: bool,
    /// Read this pyproject.toml, or another file with its tables.
    #[arg(long, value_name = "FILE", conflicts_with = "isolated")]
    pub(crate) config: Option<PathBuf>,
    /// Keep nothing for the next time, and use nothing that was kept.
    #[arg(short, long)]
    pub(crate) no_cache: bool,
    /// Where to keep what is known of files [default: `.soliloop_cache` beside pyproject.toml].
    #[arg(long, value_name = "FOLDER", env = "SOLILOOP_CACHE_DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// The name of the file that comes on standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin_filename: Option<String>,
    /// Colours in text: by default on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Full,
    Concise,
    Json,
    Sarif,
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncWay {
    /// Each of their calls becomes `asyncio.run(...)`
    Run,
    /// They stay as they are: a plain function of the old name does that, and `NAME_async` is the coroutine function
    Wrapper,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Graph {
    Mermaid,
    Dot,
}
