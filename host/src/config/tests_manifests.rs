//! Settings against the manifests of the plugins that belong to the host: what their constructors would refuse is told before anything runs,
//! with its place.

use serde_json::Value as Json;

use super::*;

fn told(library: &str, settings: &str) -> Vec<String> {
    let manifest = match library {
        "agent_invoker" => include_str!("../../../plugins/agent_invoker/plugin.json"),
        "web_chat" => include_str!("../../../plugins/web_chat/plugin.json"),
        _ => include_str!("../../../plugins/webhook/plugin.json"),
    };
    let manifest: Json = serde_json::from_str(manifest).expect("a manifest");
    let text = format!("[plugins.x]\nlibrary = '{library}'\n[plugins.x.settings]\n{settings}");
    let loaded = from_text(Path::new("c.toml"), &text, [("", ""); 0]).expect("settings are no mistake of the host");
    let resolved = loaded.config.plugins.instances["x"].resolve_settings(&manifest["settings"]);
    resolved.map_or_else(|mistakes| mistakes.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

#[track_caller]
fn tells(library: &str, settings: &str, expected: &str) {
    assert_eq!(told(library, settings), [expected], "{settings}");
}

#[test]
fn backend_without_what_it_needs_lacks_it() {
    let lacks = |backend: &str, more: &str, key: &str, what: &str| {
        let expected = format!("c.toml:3:1: [plugins.x.settings] lacks {key}; backend \"{backend}\" needs {what}");
        tells("agent_invoker", &format!("backend = '{backend}'\n{more}"), &expected);
    };
    let url = "url = 'http://127.0.0.1:9'";
    lacks("http", "", "url", "the agent's address");
    lacks("openai", url, "model", "the model's name");
    lacks("letta", url, "agent_id", "the agent's id on its server");
    lacks("command", "", "command", "the program and its arguments, like [\"/usr/local/bin/agent\"]");
    tells(
        "agent_invoker",
        &format!("backend = 'openai'\n{url}\nmodel = ''"),
        "c.toml:6:9: `model`: backend \"openai\" needs the model's name",
    );
    for program in ["[]", "[' ']"] {
        let found = told("agent_invoker", &format!("backend = 'command'\ncommand = {program}"));
        assert!(found.len() == 1 && found[0].contains("needs the program and its arguments"), "{found:?}");
    }
}

#[test]
fn setting_of_another_backend_is_told_with_the_one_that_knows_it() {
    let url = "url = 'http://127.0.0.1:9'\n";
    for (backend, line, column, known) in [
        ("http", "model = 'm'", 9, "\"openai\""),
        ("http", "system_prompt = 's'", 17, "\"openai\""),
        ("http", "agent_id = 'a'", 12, "\"letta\""),
        ("http", "scope = 'conversation'", 9, "\"letta\""),
        ("http", "command = ['a']", 11, "\"command\""),
        ("http", "fail_every = 2", 14, "\"echo\""),
        ("http", "delay_ms = 2", 12, "\"echo\""),
    ] {
        let key = line.split(' ').next().unwrap_or_default();
        let expected =
            format!("c.toml:6:{column}: `{key}`: backend \"{backend}\" has no use for it, only {known}; remove it");
        tells("agent_invoker", &format!("backend = '{backend}'\n{url}{line}"), &expected);
    }
    tells(
        "agent_invoker",
        "backend = 'command'\ncommand = ['a']\napi_key = 'hush'",
        "c.toml:6:11: `api_key`: backend \"command\" has no use for it, only \"http\" or \"openai\" or \"letta\"; remove it",
    );
    let other = told("agent_invoker", "backend = 'command'\ncommand = ['a']\nurl = 'http://127.0.0.1:9'");
    assert!(other.len() == 1 && other[0].starts_with("c.toml:6:7: `url`: backend \"command\" has no use"), "{other:?}");
    let all = "url = 'http://127.0.0.1:9'\napi_key = 'k'\nagent_id = 'a'\nscope = 'conversation'\ncommand = ['a']";
    assert!(
        told("agent_invoker", &format!("backend = 'echo'\n{all}")).is_empty(),
        "they may stay while echo is tried out"
    );
    assert!(told("agent_invoker", all).is_empty());
}

#[test]
fn address_with_a_password_is_refused_and_never_shown() {
    let agent = told("agent_invoker", "backend = 'http'\nurl = 'http://me:hush@h/'");
    assert!(agent.len() == 1 && agent[0].starts_with("c.toml:5:7: `url`: only http and https"), "{agent:?}");
    let chat = told("web_chat", "api_key = 'k'\napi_url = 'https://me:hush@example.org'");
    assert!(chat.len() == 1 && chat[0].contains("no user name or password"), "{chat:?}");
    assert!(!format!("{agent:?}{chat:?}").contains("hush"));
    for right in ["http://h", "HTTPS://h:1/a@b?c=@d", "http://[::1]:9"] {
        assert!(told("web_chat", &format!("api_key = 'k'\napi_url = '{right}'")).is_empty(), "{right}");
    }
    tells(
        "web_chat",
        "api_key = 'k'\napi_url = 'example.org'",
        "c.toml:5:11: `api_url` is not a URL; a full one such as https://example.org/ would be right",
    );
}

#[test]
fn key_that_no_header_can_carry_is_refused() {
    let url = "api_url = 'https://example.org'\n";
    tells(
        "web_chat",
        &format!("{url}api_key = ''"),
        "c.toml:5:11: `api_key`: it is empty; the bridge's key would be right",
    );
    let blank = "it has blanks or characters that no key has; copy it again from the bridge's settings";
    tells("web_chat", &format!("{url}api_key = 'has blank'"), &format!("c.toml:5:11: `api_key`: {blank}"));
    tells("web_chat", &format!("{url}api_key = 'k'\nadmin_key = 'é'"), &format!("c.toml:6:13: `admin_key`: {blank}"));
    let number = "c.toml:5:11: `api_key` takes text of at least 1 character, not a number";
    tells("web_chat", &format!("{url}api_key = 5"), number);
    let agent = told("agent_invoker", "backend = 'http'\nurl = 'http://h'\napi_key = \"a\\nb\"");
    assert!(agent.len() == 1 && agent[0].starts_with("c.toml:6:11: `api_key`: it has characters"), "{agent:?}");
    for (secret, right) in
        [("whsec_!", false), ("whsec_", false), ("whsec_AAAA", true), ("plain", true), ("whsec_AA==", true)]
    {
        let found = told("agent_invoker", &format!("backend = 'http'\nurl = 'http://h'\nsecret = '{secret}'"));
        assert_eq!(found.is_empty(), right, "{secret}: {found:?}");
    }
}

#[test]
fn prompt_format_with_an_unknown_name_is_refused() {
    let of = |format: &str| told("agent_invoker", &format!("prompt_format = '{format}'"));
    for unknown in ["{nix} {text}", "{text} {", "} {text}"] {
        let found = of(unknown);
        assert!(
            found.len() == 1 && found[0].starts_with("c.toml:4:17: `prompt_format`: it may have {username}"),
            "{found:?}"
        );
    }
    let blind = "c.toml:4:17: `prompt_format`: {text} is missing, so the agent would never see what was said";
    assert_eq!(of("{username}"), [blind]);
    assert_eq!(of("{{text}}"), [blind]);
    assert!(of("{{{text}}} {Platform}").is_empty());
    assert!(told("agent_invoker", "prompt_format = \"{username}:\\n{text}\"").is_empty());
}

#[test]
fn network_that_is_none_is_refused() {
    tells(
        "webhook",
        "allow_networks = ['loopback', 'nix']",
        "c.toml:4:31: `allow_networks[1]`: it is neither loopback, private nor a network such as 10.1.0.0/16",
    );
    assert!(told("webhook", "allow_networks = ['private', '10.1.0.0/16', '::1', 'fd00::/8']").is_empty());
}
