//! The log's live edge: who is woken when something was committed, the streams that carry it, and who listens to them.

pub mod bus;
pub mod presence;
pub mod sse;
pub mod typing;
