//! All tests of the whole in one binary: it links once, and builds the libraries once.

mod plugins_failures;
mod plugins_files;
mod plugins_life;
