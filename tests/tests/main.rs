//! All tests of the whole in one binary: it links once, and builds the libraries once.

mod agent_failures;
mod bridge_failures;
mod bridge_pollers;
mod bridge_visitors;
mod chat_messages;
mod chat_presence;
mod chat_rooms;
mod chat_stream;
mod chat_stream_all;
mod chat_stream_cuts;
mod command_line;
mod documents;
mod examples;
mod journey;
mod plugins_failures;
mod plugins_files;
mod plugins_life;
mod routes;
mod store;
mod storm;
mod system;
mod tcp_chat;
mod two_hosts;
