//! One test for each kind of mistake in the file's sections: the whole text, with line and column.

use super::*;

/// Asserts every mistake that is told about a text.
#[track_caller]
pub(super) fn tells(text: &str, expected: &[&str]) {
    let variables = [("SET", "value"), ("SPACE", "a b"), ("NUMBER", "7"), ("HOST", "example.org")];
    let told: Vec<String> = match from_text(Path::new("config.toml"), text, variables) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(told, expected, "{text}");
}

#[test]
fn syntax() {
    tells(
        "[server]\nbind = 127.0.0.1:8000",
        &["config.toml:2:8: this is no value; text stands in quotes, numbers and true or false stand alone"],
    );
}

#[test]
fn unknown_key_near_a_known_one() {
    tells("[server]\n  bnid = \"x\"", &["config.toml:2:3: unknown key `bnid` in [server]; did you mean `bind`?"]);
}

#[test]
fn unknown_key_far_from_all() {
    tells("[auth]\nfoo = 1", &["config.toml:2:1: unknown key `foo` in [auth]; known are mode and admin_token"]);
}

#[test]
fn unknown_key_of_another_section() {
    tells("[store]\nbind = 1", &["config.toml:2:1: unknown key `bind` in [store]; it belongs in [server]"]);
    tells("bind = 1", &["config.toml:1:1: unknown key `bind` at the top; it belongs in [server]"]);
}

#[test]
fn unknown_section() {
    tells("[sever]\nbind = 1", &["config.toml:1:2: unknown key `sever` at the top; did you mean `server`?"]);
    tells(
        "[webhooks]",
        &["config.toml:1:2: unknown key `webhooks` at the top; known are server, store, auth, bridge, limits, queue, \
           plugins and routes"],
    );
}

#[test]
fn section_that_is_no_table() {
    tells("server = 5", &["config.toml:1:10: `server` takes a table, [server], not 5"]);
    tells("[[queue]]", &["config.toml:1:1: `queue` takes a table, [queue], not a list"]);
}

#[test]
fn wrong_type() {
    tells(
        "[server]\nbind = 8000\ncors_origins = '*'\n[queue]\nmax_attempts = \"10\"\nbase_seconds = true\n[limits]\nrooms_per_hour = 5.7",
        &[
            "config.toml:2:8: `bind` takes an IP address and port, such as \"127.0.0.1:8000\", not 8000",
            "config.toml:3:16: `cors_origins` takes a list of origins, such as [\"https://example.org\"], or [\"*\"], not \"*\"",
            "config.toml:5:16: `max_attempts` takes a whole number from 1 to 1000, not \"10\"",
            "config.toml:6:16: `base_seconds` takes a number of seconds from 0 to 86400, not true",
            "config.toml:8:18: `rooms_per_hour` takes a whole number from 0 to 1000000000, not 5.7",
        ],
    );
    tells("[plugins.assistant]\nenabled = 'yes'", &["config.toml:2:11: `enabled` takes true or false, not \"yes\""]);
    tells(
        "[store]\npath = 2024-01-01",
        &["config.toml:2:8: `path` takes a path, such as \"data/arcuate.db\", not 2024-01-01"],
    );
}

#[test]
fn number_out_of_bounds() {
    tells(
        "[queue]\nmax_attempts = 0",
        &["config.toml:2:16: `max_attempts` takes a whole number from 1 to 1000, not 0"],
    );
    tells("[store]\nlog_days = -1", &["config.toml:2:12: `log_days` takes a number of days from 0 to 36500, not -1"]);
    tells(
        "[server]\nshutdown_seconds = inf",
        &["config.toml:2:20: `shutdown_seconds` takes a number of seconds from 0 to 3600, not inf"],
    );
    tells(
        "[plugins]\nrestart_base_seconds = 0",
        &["config.toml:2:24: `restart_base_seconds` takes a number of seconds from 0.01 to 600, not 0"],
    );
}

#[test]
fn bad_address() {
    let of = |written: &str, right: &str| {
        let said =
            format!("config.toml:2:8: `bind` takes an IP address and port, such as \"{right}\", not \"{written}\"");
        tells(&format!("[server]\nbind = '{written}'"), &[&said]);
    };
    of("8000", "127.0.0.1:8000");
    of("0.0.0.0", "0.0.0.0:8000");
    of("::", "[::]:8000");
    of("localhost:3000", "127.0.0.1:3000");
    of("127.0.0.1:99999", "127.0.0.1:8000");
    of("", "127.0.0.1:8000");
}

#[test]
fn bad_url() {
    tells(
        "[server]\npublic_url = 'chat.example.org'",
        &[
            "config.toml:2:14: `public_url` takes a full URL, such as \"https://example.org\", or \"\", not \"chat.example.org\"",
        ],
    );
}

#[test]
fn bad_network() {
    tells(
        "[server]\ntrusted_proxies = ['10.0.0.0/8', '10.0.0/40', 7]",
        &[
            "config.toml:2:34: `trusted_proxies` takes networks, such as \"10.0.0.0/8\" or \"::1\", not \"10.0.0/40\"",
            "config.toml:2:47: `trusted_proxies` takes networks, such as \"10.0.0.0/8\" or \"::1\", not 7",
        ],
    );
}

#[test]
fn bad_origin() {
    tells(
        "[server]\ncors_origins = ['https://example.org/']",
        &["config.toml:2:17: `cors_origins` takes origins without a path, such as \"https://example.org\", or \"*\", \
           not \"https://example.org/\""],
    );
}

#[test]
fn bad_choice() {
    tells(
        "[store]\ndurability = 'Full'",
        &["config.toml:2:14: `durability` takes \"full\" or \"normal\", not \"Full\""],
    );
}

#[test]
fn mode_that_is_none() {
    tells("[auth]\nmode = 'open'", &["config.toml:2:8: `mode` takes \"lan\" or \"token\", not \"open\""]);
}

#[test]
fn empty_path() {
    tells("[store]\npath = ''", &["config.toml:2:8: `path` takes a path, such as \"data/arcuate.db\", not \"\""]);
}

#[test]
fn base_above_cap() {
    tells(
        "[queue]\ncap_seconds = 5\nbase_seconds = 6.5",
        &["config.toml:3:16: `base_seconds` is 6.5, but `cap_seconds` is 5; at most 5 would be right"],
    );
    tells(
        "[queue]\ncap_seconds = 2",
        &["config.toml:2:15: `cap_seconds` is 2, but `base_seconds` is 5; at least 5 would be right"],
    );
    tells(
        "[queue]\nbase_seconds = 400\ncap_seconds = -1",
        &["config.toml:3:15: `cap_seconds` takes a number of seconds from 0 to 604800, not -1"],
    );
}

#[test]
fn variable_that_is_not_set() {
    tells(
        "[bridge]\napi_key = 'a${NOWHERE}b'",
        &["config.toml:2:11: the environment variable `NOWHERE` is not set; set it, or write `$${NOWHERE}` for these \
           characters themselves"],
    );
    tells(
        "[server]\ntrusted_proxies = ['${NOWHERE}']",
        &["config.toml:2:20: the environment variable `NOWHERE` is not set; set it, or write `$${NOWHERE}` for these \
           characters themselves"],
    );
}

#[test]
fn variable_that_is_no_name() {
    tells(
        "[store]\npath = '${data'",
        &[
            "config.toml:2:8: `${` starts no variable; `${NAME}`, or `$${` for these characters themselves, would be right",
        ],
    );
}

#[test]
fn variable_with_an_unfit_value_shows_its_name_alone() {
    tells(
        "[server]\nbind = '${SET}'\npublic_url = '${HOST}/x'\n[queue]\nmax_attempts = '${SET}'",
        &[
            "config.toml:2:8: `bind` takes an IP address and port, such as \"127.0.0.1:8000\", not \"${SET}\"",
            "config.toml:3:14: `public_url` takes a full URL, such as \"https://example.org\", or \"\", not \"${HOST}/x\"",
            "config.toml:5:16: `max_attempts` takes a whole number from 1 to 1000, not \"${SET}\"",
        ],
    );
}

#[test]
fn secret_of_the_wrong_type_shows_no_value() {
    tells(
        "[bridge]\napi_key = 123456\nadmin_key = { path = 'x' }",
        &[
            "config.toml:2:11: `api_key` takes text or { file = \"path\" }, not a number",
            "config.toml:3:13: `admin_key` takes text or { file = \"path\" }, not a table",
        ],
    );
}

#[test]
fn secret_that_no_header_can_carry() {
    let said = "holds a character that cannot stand in an HTTP header; ASCII letters, digits and signs without spaces \
                would be right";
    tells(
        "[bridge]\napi_key = 'hush hush'\nadmin_key = '${SPACE}'\n[auth]\nadmin_token = 'schlüssel'",
        &[
            &format!("config.toml:2:11: `api_key` {said}"),
            &format!("config.toml:3:13: `admin_key` {said}"),
            &format!("config.toml:5:15: `admin_token` {said}"),
        ],
    );
}

pub(super) fn said_of_secret(key: &str, path: &str, why: &str) -> String {
    let right = "a file that holds nothing but the secret, and that the host's user may read, would be right";
    format!("`{key}` cannot be read from {path}: {why}; {right}")
}

#[test]
fn secret_file_that_cannot_be_read() {
    let path = std::env::current_dir().expect("a folder").join("no/such/file");
    let said = said_of_secret("api_key", &path.display().to_string(), "No such file or directory (os error 2)");
    tells("[bridge]\napi_key = { file = 'no/such/file' }", &[&format!("config.toml:2:20: {said}")]);
}

#[test]
fn secret_file_whose_path_is_a_variable_shows_its_name_alone() {
    let said = said_of_secret("api_key", "${SET}", "No such file or directory (os error 2)");
    tells("[bridge]\napi_key = { file = '${SET}' }", &[&format!("config.toml:2:20: {said}")]);
}

#[test]
fn secret_file_that_holds_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.toml");
    let told = |content: &[u8]| {
        fs::write(folder.path().join("key"), content).expect("the key is written");
        let told = from_text(&path, "auth.admin_token.file = 'key'", [("A", "")]).expect_err("it is refused");
        told[0].to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    let said = |why: &str| format!("c.toml:1:25: {}", said_of_secret("admin_token", "key", why));
    assert_eq!(told(b"\n"), said("it is empty"));
    assert_eq!(told(b"\xff"), said("it is not UTF-8"));
    assert_eq!(told(&[b'x'; 70_000]), said("it is longer than 64 KiB, which no key is"));
}

#[test]
fn keys_that_protect_little_are_warned_of() {
    let warned = |text: &str| -> Vec<String> {
        let loaded = from_text(Path::new("c.toml"), text, [("A", "")]).expect("it is right");
        loaded.warnings.iter().map(ToString::to_string).collect()
    };
    let short = warned("[auth]\nadmin_token = 'short'");
    assert!(short.len() == 1 && short[0].starts_with("c.toml:2:15: `admin_token` is short"), "{short:?}");
    let same = warned("[bridge]\napi_key = 'k'\nadmin_key = 'k'");
    assert!(same.len() == 1 && same[0].starts_with("c.toml:3:13: `admin_key` is the same as `api_key`"), "{same:?}");
    assert!(warned("[auth]\nadmin_token = '0123456789abcdef'\n[bridge]\napi_key = 'a'\nadmin_key = 'b'").is_empty());
    assert!(warned("").is_empty());
}

#[test]
fn mistakes_come_all_at_once_in_the_order_of_the_file() {
    tells(
        "[[routes]]\nfrom = '*'\nto = 'no'\n[plugins.a]\nenabled = 1\n[server]\nx = 1\nbind = 1\n[bridge]\nack_seconds = 'é'",
        &[
            "config.toml:3:6: `to` = \"no\", but there is no such instance; a, assistant or inbox would be right",
            "config.toml:5:11: `enabled` takes true or false, not 1",
            "config.toml:7:1: unknown key `x` in [server]; known are bind, trusted_proxies, cors_origins, public_url, body_seconds and \
             shutdown_seconds",
            "config.toml:8:8: `bind` takes an IP address and port, such as \"127.0.0.1:8000\", not 1",
            "config.toml:10:15: `ack_seconds` takes a number of seconds from 0.1 to 86400, not \"é\"",
        ],
    );
}

#[test]
fn columns_count_characters() {
    tells(
        "server = { \"größe\" = 1, bind = \"日本\" }",
        &[
            "config.toml:1:12: unknown key `größe` in [server]; known are bind, trusted_proxies, cors_origins, public_url, body_seconds and \
             shutdown_seconds",
            "config.toml:1:32: `bind` takes an IP address and port, such as \"127.0.0.1:8000\", not \"日本\"",
        ],
    );
}

#[test]
fn a_key_with_control_characters_is_told_on_one_line() {
    tells(
        "\"a\\nb\\u001b\" = 1",
        &[
            "config.toml:1:1: unknown key `a\\nb\\u{1b}` at the top; known are server, store, auth, bridge, limits, queue, \
           plugins and routes",
        ],
    );
}
