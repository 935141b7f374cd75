//! What the tests of the whole share: the libraries and the program as cargo builds them; a host, a PHP bridge, an agent and visitors that
//! are real and go wrong when they are told to; a place with plugins that misbehave; a way to wait for conditions instead of time.

pub mod agent;
pub mod artifacts;
pub mod chance;
pub mod client;
pub mod disk;
pub mod document;
pub mod events;
pub mod faulty_disk;
pub mod guest;
pub mod host;
pub mod letta;
mod machine;
pub mod php;
pub mod ports;
pub mod preload;
pub mod raw;
pub mod receiver;
pub mod recorder;
pub mod reference;
pub mod skip;
pub mod storm;
pub mod visitor;
pub mod wait;
pub mod workshop;
