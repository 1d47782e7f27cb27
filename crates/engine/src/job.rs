//! What the engine must know of a payload: whether it still wants to run.

/// A payload of the queues.
///
/// A job that answers `true` to [`Job::is_cancelled`] may be dropped by the engine itself, inside any of its methods.
/// So a payload whose drop can reach the engine's owner must let go of what it holds when it is cancelled, not later.
pub trait Job {
    /// Whether the job was cancelled after it was queued. Once `true`, always `true`.
    fn is_cancelled(&self) -> bool;
}
