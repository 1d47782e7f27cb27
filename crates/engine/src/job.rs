//! What the engine must know of a payload: whether it still wants to run.

/// A payload of the queues.
///
/// The engine drops no job, since a drop may reach the engine's owner: cancelled jobs wait in
/// [`Engine::take_discarded`](crate::Engine::take_discarded) until they are fetched.
pub trait Job {
    /// Whether the job was cancelled after it was queued. Once `true`, always `true`.
    fn is_cancelled(&self) -> bool;
}
