//! What the tests of the whole share: the libraries and the program as cargo builds them, a place with plugins that go wrong, and a
//! way to wait for conditions instead of time.

pub mod artifacts;
pub mod recorder;
pub mod wait;
pub mod workshop;
