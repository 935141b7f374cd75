//! Tokens as operators make, list and revoke them: through the API, and by the command line in both situations.

use super::{TOKEN_MODE, enter, make, token_host};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::wait::until_is;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

const TOKENS: &str = "/api/v1/admin/tokens";

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    let mut command = Command::new(setup.program());
    command.current_dir(setup.folder()).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

fn done(setup: &Setup, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(setup, arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("output is UTF-8")
}

fn json_of(setup: &Setup, arguments: &[&str]) -> Value {
    let text = done(setup, &[arguments, &["--json"]].concat());
    assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
    serde_json::from_str(&text).expect("JSON")
}

fn refused(setup: &Setup, arguments: &[&str], code: i32, text: &str) {
    let Output { status, stdout, stderr } = run(setup, arguments);
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!((status.code(), stdout.len()), (Some(code), 0), "{arguments:?}: {said}");
    assert!(said.contains(text), "{arguments:?}: {said}");
}

fn names(page: &Value) -> Vec<&str> {
    let tokens = page["tokens"].as_array().expect("a list of tokens");
    tokens.iter().map(|token| token["name"].as_str().expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn token_made_while_the_host_runs_works_at_once_and_after_a_restart() {
    let mut host = token_host().await;
    let made = json_of(host.setup(), &["tokens", "create", "ada", "--scope", "read,bridge", "--scope", "write"]);
    let keys: Vec<_> = made.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        (keys.as_slice(), &made["scopes"]),
        (&["name", "scopes", "token"][..], &json!(["read", "write", "bridge"]))
    );
    let token = made["token"].as_str().expect("a token").to_owned();
    host.client().with_token(&token).get("/api/v1/rooms").await.ok();
    host.kill_9();
    host.start_again().await;
    host.client().with_token(&token).get("/api/v1/rooms").await.ok();
    let listed = json_of(host.setup(), &["tokens", "list"]);
    assert_eq!(listed, host.operator().get(TOKENS).await.ok());
    assert_eq!((names(&listed), &listed["cursor"]), (vec!["ada"], &Value::Null));
    let keys: Vec<_> = listed["tokens"][0].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["created_at", "name", "scopes"]);
    assert!(!listed.to_string().contains(&token));
    assert_eq!(json_of(host.setup(), &["tokens", "revoke", "ada"]), json!({ "name": "ada", "revoked": true }));
    host.client().with_token(&token).get("/api/v1/rooms").await.refused(401, "revoked");
    host.kill_9();
    host.start_again().await;
    host.client().with_token(&token).get("/api/v1/rooms").await.refused(401, "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_store_at_rest_are_made_and_revoked() {
    let mut host = token_host().await;
    let old = make(&host, "bob", &["read"]).await;
    host.terminate().await;
    let said = done(host.setup(), &["tokens", "create", "ada", "--scope", "write"]);
    let (token, rest) = said.split_once('\n').expect("two lines");
    assert_eq!(rest, "for ada, with write; it is not shown again\n");
    refused(host.setup(), &["tokens", "create", "ada", "--scope", "read"], 1, "exists");
    assert_eq!(done(host.setup(), &["tokens", "revoke", "bob"]), "bob is revoked\n");
    refused(host.setup(), &["tokens", "revoke", "bob"], 1, "no token belongs to 'bob'");
    let table = done(host.setup(), &["tokens", "list"]);
    assert!(table.starts_with("NAME") && table.contains("ada") && !table.contains(token), "{table}");
    host.start_again().await;
    host.client().with_token(token).get("/api/v1/rooms").await.ok();
    host.client().with_token(&old).get("/api/v1/rooms").await.refused(401, "unknown");
    refused(host.setup(), &["tokens", "create", "ada", "--scope", "read"], 1, "exists");
    refused(host.setup(), &["tokens", "revoke", "bob"], 1, "no token belongs to 'bob'");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_cannot_be_meant_is_refused() {
    let host = token_host().await;
    let setup = host.setup();
    refused(setup, &["tokens", "create", "ada"], 2, "--scope");
    refused(setup, &["tokens", "create", "ada", "--scope", "root"], 2, "bridge");
    refused(setup, &["tokens", "create", "--scope", "read"], 2, "NAME");
    refused(setup, &["tokens", "create", "", "--scope", "read"], 2, "1-100 characters");
    refused(setup, &["tokens", "create", "a\nb", "--scope", "read"], 2, "control characters");
    let operator = host.operator();
    let wrong = [
        (json!({}), 422, "name"),
        (json!({ "name": "ada" }), 422, "scopes"),
        (json!({ "name": 5, "scopes": ["read"] }), 422, "name"),
        (json!({ "name": "ada", "scopes": "read" }), 422, "scopes"),
        (json!({ "name": "ada", "scopes": [] }), 400, "scope"),
        (json!({ "name": "ada", "scopes": ["root"] }), 400, "'root' is no scope"),
        (json!({ "name": "é".repeat(101), "scopes": ["read"] }), 400, "1-100 characters"),
        (json!({ "name": "a\0", "scopes": ["read"] }), 400, "1-100 characters"),
        (json!({ "name": "a\u{1b}[2J", "scopes": ["read"] }), 400, "control characters"),
    ];
    for (body, status, text) in wrong {
        operator.post(TOKENS, &body).await.refused(status, text);
    }
    operator.get(&format!("{TOKENS}?cursor=x")).await.refused(400, "'cursor'");
    operator.ask(Method::DELETE, &format!("{TOKENS}/nobody")).await.refused(404, "nobody");
    assert_eq!(names(&operator.get(TOKENS).await.ok()), Vec::<&str>::new());
    let fits = json!({ "name": format!(" {} ", "é".repeat(100)), "scopes": ["read"] });
    assert_eq!(operator.post(TOKENS, &fits).await.ok()["name"], "é".repeat(100));
    operator.post(TOKENS, &fits).await.refused(409, "exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_paged_by_name() {
    let host = token_host().await;
    for name in ["d", "b/ä", "a", "c"] {
        enter(&host, name, &["read"]).await;
    }
    let operator = host.operator();
    let first = operator.get(&format!("{TOKENS}?limit=3")).await.ok();
    assert_eq!(names(&first), ["a", "b/ä", "c"]);
    let cursor = first["cursor"].as_str().expect("a cursor");
    let last = operator.get(&format!("{TOKENS}?limit=3&cursor={cursor}")).await.ok();
    assert_eq!((names(&last), &last["cursor"]), (vec!["d"], &Value::Null));
    assert_eq!(done(host.setup(), &["tokens", "revoke", "b/ä"]), "b/ä is revoked\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn mode_is_one_of_two() {
    let refused = Setup::new("[auth]\nmode = \"open\"\n").refuse().await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("\"lan\" or \"token\""), "{}", refused.stderr);
    let host = Host::start(&format!("{TOKEN_MODE}admin_token = \"chosen\"")).await;
    host.client().with_token("chosen").get("/api/v1/rooms").await.ok();
    host.client().with_token("chosen").get(TOKENS).await.ok();
    until_is(|| host.log(), |log| log.contains("there are no access tokens yet")).await;
    assert!(!Host::start("").await.log().contains("access tokens"), "in lan mode nobody needs one");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_holds_no_token_and_no_key_as_it_was_given() {
    let mut host = token_host().await;
    let token = make(&host, "ada", &["write"]).await;
    let ada = host.client().with_token(&token);
    let room = ada.post("/api/v1/rooms", &json!({ "name": "lab" })).await.ok();
    let key = room["admin_key"].as_str().expect("a key");
    let ticket = ada.post("/api/v1/ws-ticket", &json!({})).await.ok();
    let operators = std::fs::read_to_string(host.store().with_file_name("admin_token")).expect("the operator's token");
    let secrets = [&token, key, ticket["ticket"].as_str().expect("a ticket"), operators.trim()];
    let holds = |bytes: &[u8], secret: &str| {
        let random = secret.rsplit('_').next().unwrap_or(secret).as_bytes();
        bytes.windows(random.len()).any(|window| window == random)
    };
    let mut files = 0;
    for moment in ["running", "ended"] {
        let folder = host.store().parent().expect("a folder").to_owned();
        let name = host.store().file_name().expect("a name").to_string_lossy().into_owned();
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if !path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)) {
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file of the store");
            files += usize::from(!bytes.is_empty());
            for secret in secrets {
                assert!(!holds(&bytes, secret), "{moment}: {} holds {secret}", path.display());
            }
        }
        if moment == "running" {
            host.terminate().await;
        }
    }
    assert!(files >= 2, "nothing was looked at");
}
