//! The command line.

mod serve;

use crate::config;
use std::process::ExitCode;

pub fn main() -> ExitCode {
    match config::load(None, std::env::vars_os()) {
        Ok(loaded) => serve::serve(loaded),
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            ExitCode::from(2)
        }
    }
}
