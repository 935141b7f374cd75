//! All tests of the whole in one binary: it links once, and builds the libraries once.

mod agent_failures;
mod bad_input;
mod bridge_failures;
mod bridge_pollers;
mod bridge_visitors;
mod chat_messages;
mod chat_rooms;
mod chat_stream;
mod command_line;
mod describe;
mod documents;
mod journey;
mod plugins_failures;
mod plugins_files;
mod plugins_life;
mod reference;
mod routes;
mod store;
mod storm;
mod system;
mod tcp_chat;
mod two_hosts;
