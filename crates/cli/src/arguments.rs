//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Find nested runs, blocking calls and their kin in asyncio programs, over the whole call graph.
#[expect(clippy::struct_excessive_bools, reason = "options of a command line")]
#[derive(Debug, Parser)]
#[command(name = "soliloop check", bin_name = "soliloop check", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Files and folders; the working folder if there are none.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only these rules: codes, or their beginnings.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) select: Option<Vec<String>>,
    /// Not these rules.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// How to tell what was found.
    #[arg(long, visible_alias = "output-format", value_enum, default_value_t = Format::Full)]
    pub(crate) format: Format,
    /// Repair what can be: async all the way up.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Show the repairs as a diff, and change no file.
    #[arg(long)]
    pub(crate) diff: bool,
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
pub(crate) enum Graph {
    Mermaid,
    Dot,
}
