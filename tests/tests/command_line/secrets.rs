//! Keys and tokens stand in no output: not in tables, JSON, mistakes, logs, or what the start tells.

use super::{Ran, arcuate};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;

/// Something that nothing else contains.
const ADMIN: &str = "S3CRET-of-the-operator";
const KEYS: [&str; 5] =
    [ADMIN, "S3CRET-of-the-poller", "S3CRET-of-the-admin", "S3CRET-of-the-site", "S3CRET-from-a-file"];

fn config() -> String {
    format!(
        "[auth]\nadmin_token = \"{ADMIN}\"\n[bridge]\napi_key = \"{}\"\nadmin_key = \"{}\"\n\
         [plugins.web_chat]\nenabled = true\n[plugins.web_chat.settings]\napi_url = \"http://127.0.0.1:1/\"\n\
         api_key = \"{}\"\nadmin_key = {{ file = \"site.key\" }}\n\
         [plugins.assistant.settings]\nbackend = \"http\"\nurl = \"http://127.0.0.1:1/?key=S3CRET-query\"\n",
        KEYS[1], KEYS[2], KEYS[3]
    )
}

const COMMANDS: [&[&str]; 9] = [
    &["check"],
    &["plugins", "list", "--all"],
    &["plugins", "show", "web_chat"],
    &["plugins", "show", "assistant"],
    &["queue", "list"],
    &["queue", "flush", "--all"],
    &["conversations", "list"],
    &["users", "list"],
    &["tokens", "list"],
];

fn assert_none(said: &str, of: &str) {
    // Neither a key nor a recognizable part of one.
    assert!(!said.contains("S3CRET"), "{of}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_has_a_secret() {
    let setup = arcuate_tests::host::Setup::new(&config()).env("ARCUATE_LOG", "debug");
    std::fs::write(setup.folder().join("site.key"), KEYS[4]).expect("a key's file");
    let mut host: Host = setup.start().await;
    Visitor::new(host.client(), "session").say("Hello").await;
    let config = host.client().with_token(ADMIN).get("/api/v1/admin/config").await.ok().to_string();
    assert!(config.contains("http://127.0.0.1:1/?key=***"), "{config}");
    assert_none(&config, "the configuration");
    for situation in super::Situation::BOTH {
        situation.of(&mut host).await;
        for arguments in COMMANDS {
            for arguments in [arguments.to_vec(), [arguments, &["--json"]].concat()] {
                let Ran { code, stdout, stderr } = arcuate(host.setup(), &arguments);
                assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
                assert_none(&(stdout + &stderr), &format!("{arguments:?}"));
            }
        }
    }
    assert!(host.log().contains("web_chat"), "there is a log to look at");
    assert_none(&host.stdout(), "what the start told");
    assert_none(&host.log(), "the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mistake_shows_a_secret() {
    // Keys where something else belongs, and wrong things where keys belong.
    let config = config() + "secret = \"S3CRET-unknown-key\"\n[queue]\nmax_attempts = \"${ARCUATE_TEST_KEY}\"\n";
    let (setup, _) = super::fresh(&config);
    std::fs::write(setup.folder().join("site.key"), KEYS[4]).expect("a key's file");
    for arguments in [&["check"][..], &["check", "--json"], &["serve"], &["queue", "list"]] {
        let mut command = super::command(&setup, arguments);
        let Ran { code, stdout, stderr } = super::ran(command.env("ARCUATE_TEST_KEY", "S3CRET-in-a-variable"));
        assert_eq!(code, Some(2), "{stderr}");
        assert_none(&(stdout + &stderr), &format!("{arguments:?}"));
    }
}
