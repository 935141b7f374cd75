//! The blocks of configuration that `docs/agents.md` shows are taken by the host as they stand there.

use arcuate_tests::host::Setup;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The blocks of TOML of a page.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("```toml\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn configuration_of_each_backend_is_taken_as_the_page_shows_it() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md");
    let blocks = blocks(&fs::read_to_string(page).expect("the page"));
    for backend in ["http", "openai", "letta", "command"] {
        let wanted = format!("backend = \"{backend}\"");
        let block = blocks.iter().find(|block| block.contains(&wanted)).expect("a block for each backend");
        // What is commented out is meant to be taken too.
        for block in [block.clone(), block.replace("\n# ", "\n")] {
            let setup = Setup::new(&block);
            setup.write_config();
            let mut check = Command::new(setup.program());
            check.arg("check").current_dir(setup.folder());
            for name in ["AGENT_KEY", "AGENT_SECRET", "OPENAI_API_KEY", "LETTA_API_KEY"] {
                check.env(name, "a secret");
            }
            let output = check.output().expect("the program runs");
            assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
