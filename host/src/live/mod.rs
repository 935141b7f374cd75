//! The log's live edge: who is woken when something was committed, and the streams that carry it.

pub mod bus;
pub mod sse;
pub mod typing;
