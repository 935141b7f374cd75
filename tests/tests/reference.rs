//! The API reference of the documentation is what the host says of itself.

use arcuate::http::openapi::document;
use arcuate_tests::reference::render;
use std::fs;
use std::path::Path;

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
