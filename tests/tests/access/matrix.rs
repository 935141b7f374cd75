//! A table of each route against each kind of caller, in both modes. The routes are read out of the host's sources, so that a new one is
//! in the table before anybody has thought of it: closed, unless it is named here as public.

use super::{TOKEN_MODE, make};
use arcuate_tests::client::{Answer, Client};
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Open to everybody in token mode.
const PUBLIC: [&str; 18] = [
    "/",
    "/docs",
    "/health",
    "/api/v1/health",
    "/ready",
    "/api/v1/ready",
    "/openapi.json",
    "/api/v1/openapi.json",
    "/llms.txt",
    "/api/v1/llms.txt",
    "/SKILL.md",
    "/api/v1/skills/SKILL.md",
    "/.well-known/skills/index.json",
    "/.well-known/skills/local-agent-chat/SKILL.md",
    "/api/v1/hook/{token}",
    // The native bridge API checks its own keys.
    "/api/v1",
    "/api/v1/",
    "/api/v1/index.php",
];

/// A method and a path, with names in braces for what varies.
pub(super) type Route = (String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Open,
    Unauthorized,
    Forbidden,
}

/// All routes of the host, and those that its own description has.
pub(super) async fn routes(host: &Host) -> BTreeSet<Route> {
    let mut found = BTreeSet::new();
    for (name, text) in sources() {
        found.extend(plain_routes(&name, &text));
        found.extend(described_routes(&text));
    }
    let described = described(&host.get("/openapi.json").await.ok());
    assert!(described.len() > 60, "the description is not whole: {described:?}");
    found.extend(described);
    found
}

/// Every operation that a description has.
fn described(description: &Value) -> Vec<Route> {
    let paths = description["paths"].as_object().expect("paths").iter();
    let each = paths.flat_map(|(path, operations)| {
        let methods = operations.as_object().expect("operations").keys().filter(|key| is_method(key));
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    each.collect()
}

/// Sources of the host without blanks, up to their tests.
fn sources() -> Vec<(String, String)> {
    let (mut folders, mut found): (Vec<PathBuf>, _) =
        (vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let squeezed: String = lines.flat_map(str::chars).filter(|letter| !letter.is_whitespace()).collect();
                found.push((path.display().to_string(), squeezed));
            }
        }
    }
    found
}

fn is_method(word: &str) -> bool {
    ["get", "post", "put", "delete", "patch"].contains(&word)
}

/// `.route("/path", get(…).post(…))`
fn plain_routes(name: &str, text: &str) -> Vec<Route> {
    let mut found = Vec::new();
    for after in text.split(".route(").skip(1) {
        let (path, handlers) = after
            .strip_prefix('"')
            .and_then(|after| after.split_once('"'))
            .unwrap_or_else(|| panic!("{name}: spell out the path of each route, so that this table has it"));
        let mut depth = 1;
        let end = handlers.find(|letter| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            depth == 0
        });
        let handlers = &handlers[..end.expect("parentheses in pairs")];
        let words = handlers.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect::<Vec<_>>();
        let methods = words.iter().flat_map(|word| match *word {
            "any" => vec!["get", "post"],
            word if is_method(word) => vec![word],
            _ => vec![],
        });
        let before = found.len();
        found.extend(methods.map(|method| (method.to_uppercase(), path.to_owned())));
        assert!(found.len() > before, "{name}: no method at {path}");
    }
    found
}

/// `#[utoipa::path(get, path = "/path", …)]`
fn described_routes(text: &str) -> Vec<Route> {
    let attributes = text.split("#[utoipa::path(").skip(1);
    attributes
        .map(|after| {
            let method = after.split(',').next().unwrap_or_default();
            assert!(is_method(method), "a method comes first: {method}");
            let path = after.split("path=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a path");
            (method.to_uppercase(), path.to_owned())
        })
        .collect()
}

/// With something in place of each name in braces that no host knows.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{*path}" => "x",
        "{instance}" => "nobody",
        "{token}" => "whk_0",
        part if part.starts_with('{') => "01a1fe0d-be23-76e7-9b23-440ad354ad90",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_operators(path: &str) -> bool {
    path.starts_with("/api/v1/admin/") && path != "/api/v1/admin/retention/run"
}

/// What a caller with one scope gets in token mode; `operator` may do everything.
fn expected(route: &Route, caller: &str) -> Expected {
    let (method, path) = route;
    let sufficient: &[&str] = match path.as_str() {
        path if PUBLIC.contains(&path) || path.starts_with("/docs/") => return Expected::Open,
        path if is_operators(path) => &["operator"],
        "/api/v1/admin/retention/run" => &["admin", "operator"],
        "/api/v1/ws-ticket" => &["read", "write", "admin", "operator"],
        _ if method == "GET" => &["read", "write", "admin", "operator"],
        _ => &["write", "admin", "operator"],
    };
    match caller {
        "nobody" | "stranger" => Expected::Unauthorized,
        caller if sufficient.contains(&caller) => Expected::Open,
        _ => Expected::Forbidden,
    }
}

/// Streams do not end: of those only the head is asked for.
async fn ask(client: &Client, (method, path): &Route) -> Answer {
    let path = filled(path);
    let method = if path.ends_with("/stream") { "HEAD" } else { method };
    let asked = client.ask(Method::from_bytes(method.as_bytes()).expect("a method"), &path);
    if ["GET", "HEAD"].contains(&method) { asked.await } else { asked.json(&json!({})).await }
}

/// How the gate took it; what the route itself then says is another matter.
fn outcome(answer: &Answer) -> Expected {
    let text = serde_json::from_str(&answer.text).unwrap_or(json!({}));
    let text = text["error"].as_str().unwrap_or_default();
    match answer.status {
        401 if text.is_empty() || text.contains("access token:") || text.contains("access token is unknown") => {
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{answer}");
            Expected::Unauthorized
        }
        403 if text.is_empty() || text.contains("with the scope '") || text.contains("operator's token") => {
            Expected::Forbidden
        }
        _ => Expected::Open,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_mode_opens_each_route_to_those_with_its_scope_alone() {
    let host = Host::start(TOKEN_MODE).await;
    let anybody = host.client().clone().keeping_connections();
    let mut callers = vec![("nobody", anybody.clone()), ("stranger", anybody.with_token("tok_0"))];
    for scope in ["read", "write", "admin", "bridge"] {
        callers.push((scope, anybody.with_token(&make(&host, scope, &[scope]).await)));
    }
    callers.push(("operator", anybody.with_token(&operators(&host))));
    let mut wrong = Vec::new();
    for route in routes(&host).await {
        for (name, client) in &callers {
            let answer = ask(client, &route).await;
            let (found, expected) = (outcome(&answer), expected(&route, name));
            if found != expected || answer.status >= 500 {
                wrong.push(format!("{name}, expected {expected:?}: {answer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lan_mode_closes_only_what_is_the_operators() {
    let host = Host::start("").await;
    let anybody = host.client().clone().keeping_connections();
    let token = anybody.with_token(&make(&host, "ada", &["admin"]).await);
    let operator = anybody.with_token(&operators(&host));
    for route in routes(&host).await {
        let expected = if is_operators(&route.1) { [401, 403] } else { [0, 0] };
        for (client, refused) in [(&anybody, expected[0]), (&token, expected[1])] {
            let answer = ask(client, &route).await;
            match refused {
                0 => assert_eq!(outcome(&answer), Expected::Open, "{answer}"),
                status => answer.refused(status, "operator's token"),
            }
        }
        let answer = ask(&operator, &route).await;
        assert!(![401, 403].contains(&answer.status) || route.1.starts_with("/api/v1/hook/"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_say_nothing_to_strangers() {
    let host = Host::start(TOKEN_MODE).await;
    host.get("/api/v1/nothing").await.refused(401, "access token");
    host.client().ask(Method::PATCH, "/api/v1/rooms").await.refused(401, "access token");
    assert_eq!(host.client().ask(Method::HEAD, "/api/v1/rooms").await.status, 401);
    let reader = host.client().with_token(&make(&host, "ada", &["read"]).await);
    reader.get("/api/v1/nothing").await.refused(404, "Not found");
    host.get("/api/v1/rooms").header("authorization", "Basic YTpi").await.refused(401, "access token");
    host.get("/api/v1/rooms").header("authorization", "Bearer").await.refused(401, "access token");
    host.get("/api/v1/rooms").header("authorization", "Bearer ").await.refused(401, "access token");
    host.get("/api/v1/rooms").header("x-admin-key", &operators(&host)).await.refused(401, "access token");
}

fn operators(host: &Host) -> String {
    let path = host.store().with_file_name("admin_token");
    fs::read_to_string(path).expect("the operator's token").trim().into()
}
