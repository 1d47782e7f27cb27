//! The command `soliloop-check`: `soliloop check` without Python.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let answer = soliloop_cli::run(std::env::args_os().skip(1).collect(), std::io::stdout().is_terminal());
    // Whoever has closed the pipe wants no more.
    let _ = std::io::stderr().write_all(answer.complaint.as_bytes());
    let _ = std::io::stdout().write_all(answer.output.as_bytes());
    ExitCode::from(answer.status)
}
