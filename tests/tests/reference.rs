//! The API reference of the documentation is what the host says of itself.

use arcuate::http::openapi::document;
use arcuate_tests::reference::render;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn links_within_the_reference_lead_somewhere() {
    let page = render(&document());
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let headings: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches(['#', ' '])))
        .collect();
    let links = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next());
    let lost: BTreeSet<_> = links.filter(|link| !headings.contains(*link)).collect();
    assert!(lost.is_empty(), "docs/api-reference.md has no headings for {lost:?}");
}

#[test]
fn reference_is_that_of_the_routes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api-reference.md");
    let page = render(&document());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(page.lines()).find(|(kept, new)| kept != new);
    assert!(
        kept == page,
        "docs/api-reference.md is not what the routes say; UPDATE_REFERENCE=1 cargo test -p arcuate-tests reference writes it anew. \
         First difference: {differs:?}"
    );
}
