//! Tests that need something of the machine say loudly when it is missing. Where CI is set, that is a failure.

use std::io::{Write, stderr};

/// Tells why a test does not run here. Written past the capture of the test runner, which would hide it.
pub fn skipped(test: &str, why: &str) {
    let told = format!("SKIPPED {test}: {why}");
    assert!(!is_ci(), "{told} (CI=true: nothing may be skipped)");
    let _ = writeln!(stderr(), "{told}");
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
