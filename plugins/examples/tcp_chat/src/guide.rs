//! Keeps `docs/writing-a-plugin.md` honest: each piece of Rust in it stands in the file that its first line names. Indentation may differ,
//! and a line `// …` leaves something out.

use std::path::Path;

const GUIDE: &str = include_str!("../../../../docs/writing-a-plugin.md");

/// The lines of a text, without indentation.
fn bare(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn stands_in(source: &[&str], piece: &[&str]) -> bool {
    source.windows(piece.len()).any(|window| window == piece)
}

#[test]
fn guide_shows_the_code_as_it_is() {
    let blocks: Vec<_> = GUIDE.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 10, "the guide has only {} pieces of code", blocks.len());
    for block in blocks {
        let lines = bare(block);
        let file = lines[0].strip_prefix("// ").expect("a piece of code begins with its file");
        let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
        for piece in lines[1..].split(|line| *line == "// …").filter(|piece| !piece.is_empty()) {
            assert!(
                stands_in(&bare(&source), piece),
                "{file} does not contain this piece of the guide:\n{}",
                piece.join("\n")
            );
        }
    }
}
