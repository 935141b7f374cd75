//! One test for each kind of mistake in `[plugins]`, in an instance's own keys and in routes: the whole text, with its place.

use super::tests_mistakes::tells;

#[test]
fn instance_with_a_bad_name() {
    let said = "cannot name an instance; up to 32 of a-z, 0-9 and _, a letter first, such as";
    tells(
        "[plugins.Web-Chat]\n[plugins.\"9\"]",
        &[
            &format!("config.toml:1:10: `Web-Chat` {said} `web_chat`, would be right"),
            &format!("config.toml:2:10: `9` {said} `web_chat`, would be right"),
        ],
    );
    let long = "x".repeat(33);
    tells(&format!("[plugins.{long}]"), &[&format!("config.toml:1:10: `{long}` {said} `web_chat`, would be right")]);
}

#[test]
fn instance_with_a_taken_name() {
    tells(
        "[plugins.inbox]\n[plugins.bridge]",
        &[
            "config.toml:1:10: `inbox` is taken and cannot name an instance; another name would be right",
            "config.toml:2:10: `bridge` is taken and cannot name an instance; another name would be right",
        ],
    );
    tells(
        "[plugins.directory]",
        &["config.toml:1:1: `directory` takes a path, such as \"plugins\", or \"\", not a table"],
    );
}

#[test]
fn instance_with_a_bad_library() {
    tells(
        "[plugins.shop]\nlibrary = 'libweb_chat.so'",
        &[
            "config.toml:2:11: `library` takes a plugin's name without path, `lib` and `.so`, such as \"agent_invoker\", \
           not \"libweb_chat.so\"",
        ],
    );
}

#[test]
fn instance_with_an_unknown_key() {
    tells(
        "[plugins.web_chat]\nenable = true\napi_url = 'x'",
        &[
            "config.toml:2:1: unknown key `enable` in [plugins.web_chat]; did you mean `enabled`?",
            "config.toml:3:1: unknown key `api_url` in [plugins.web_chat]; settings of the plugin stand in \
             [plugins.web_chat.settings]",
        ],
    );
}

#[test]
fn instance_whose_settings_are_no_table() {
    tells(
        "[plugins]\nweb_chat.settings = 5",
        &["config.toml:2:21: `settings` takes a table, [plugins.web_chat.settings], not 5"],
    );
}

#[test]
fn option_of_plugins_that_is_unknown() {
    tells(
        "[plugins]\nstart_second = 1\nweb_chat = true",
        &[
            "config.toml:2:1: unknown key `start_second` in [plugins]; did you mean `start_seconds`?",
            "config.toml:3:1: unknown key `web_chat` in [plugins]; known are directory, start_seconds, stop_seconds and \
             restart_base_seconds; an instance is a table, [plugins.web_chat]",
        ],
    );
}

#[test]
fn routes_that_are_no_list_of_tables() {
    tells("routes = 5", &["config.toml:1:10: `routes` takes a list of tables, each under [[routes]], not 5"]);
    tells("[routes]", &["config.toml:1:1: `routes` takes a list of tables, each under [[routes]], not a table"]);
    tells("routes = ['x']", &["config.toml:1:11: `routes` takes tables, each under [[routes]], not \"x\""]);
}

#[test]
fn route_that_lacks_a_key() {
    tells(
        "[[routes]]",
        &[
            "config.toml:1:1: this route lacks `from`; from = \"bridge\", for instance, would be right",
            "config.toml:1:1: this route lacks `to`; to = \"assistant\", for instance, would be right",
        ],
    );
}

#[test]
fn route_with_an_unknown_key() {
    tells(
        "[[routes]]\nfrom = '*'\nto = 'inbox'\nmod = 'live'\nfoo = 1",
        &[
            "config.toml:4:1: unknown key `mod` in [[routes]]; did you mean `mode`?",
            "config.toml:5:1: unknown key `foo` in [[routes]]; known are from, to, mode, trigger, allow, deny, refusal, \
             merge_window_ms, max_turns_per_minute and apology",
        ],
    );
}

#[test]
fn route_from_nothing_that_can_be() {
    tells(
        "[[routes]]\nfrom = 'a b'\nto = 'inbox'\n[[routes]]\nfrom = ['*']\nto = 'inbox'",
        &[
            "config.toml:2:8: `from` takes an instance, a platform, \"bridge\", \"room:NAME\", \"dm:NAME\" or \"*\", not \"a b\"",
            "config.toml:5:8: `from` takes one source, such as \"bridge\", not a list",
        ],
    );
}

#[test]
fn route_to_an_instance_that_does_not_exist() {
    tells(
        "[[routes]]\nfrom = '*'\nto = 'asistant'",
        &["config.toml:3:6: `to` = \"asistant\", but there is no such instance; did you mean `assistant`?"],
    );
    tells(
        "[[routes]]\nfrom = '*'\nto = 'shop'",
        &["config.toml:3:6: `to` = \"shop\", but there is no such instance; assistant or inbox would be right"],
    );
}

#[test]
fn route_to_what_is_no_target() {
    let to = |to: &str| format!("[[routes]]\nfrom = '*'\nto = {to}");
    let kinds = "`to` takes the name of an instance, a list of them, or \"inbox\", not 7";
    tells(&to("7"), &[&format!("config.toml:3:6: {kinds}")]);
    tells(&to("[]"), &["config.toml:3:6: `to` takes 1 to 16 instances, not 0"]);
    let alone = "a list in `to` takes names of instances; \"inbox\" alone, without a list, would be right";
    tells(&to("['inbox']"), &[&format!("config.toml:3:7: {alone}")]);
    tells(
        &to("['assistant', 'asistant', 'assistant', 1]"),
        &[
            "config.toml:3:20: `to` = \"asistant\", but there is no such instance; did you mean `assistant`?",
            "config.toml:3:32: `to` names `assistant` twice; once would be right",
            "config.toml:3:45: a list in `to` takes names of instances, not 1",
        ],
    );
}

#[test]
fn route_with_a_bad_mode() {
    tells(
        "[[routes]]\nfrom = '*'\nto = 'assistant'\nmode = 'quiet'",
        &["config.toml:4:8: `mode` takes \"live\", \"echo\" or \"listen\", not \"quiet\""],
    );
}

#[test]
fn route_from_a_room_without_a_name() {
    let said = "`from` takes a name of 1 to 100 characters behind `room:` and `dm:`, such as \"room:general\", not";
    tells(
        "[[routes]]\nfrom = 'room:'\nto = 'assistant'\n[[routes]]\nfrom = 'dm: ann'\nto = 'assistant'",
        &[&format!("config.toml:2:8: {said} \"room:\""), &format!("config.toml:5:8: {said} \"dm: ann\"")],
    );
}

#[test]
fn route_whose_rules_are_wrong() {
    tells(
        "[[routes]]\nfrom = '*'\nto = 'assistant'\ntrigger = 'some'\nallow = 'ann'\ndeny = ['', 3]\nrefusal = 1\n\
         merge_window_ms = -0.5\nmax_turns_per_minute = -1\napology = []",
        &[
            "config.toml:4:11: `trigger` takes \"all\" or \"mention\", not \"some\"",
            "config.toml:5:9: `allow` takes a list of users' ids, where * stands for any text, such as [\"u-17\", \"staff-*\"], not \"ann\"",
            "config.toml:6:9: an id in `deny` has 1 to 255 bytes",
            "config.toml:6:13: `deny` takes a list of users' ids, where * stands for any text, such as [\"u-17\", \"staff-*\"], not 3",
            "config.toml:7:11: `refusal` takes a text, or \"\", not 1",
            "config.toml:8:19: `merge_window_ms` takes a number of milliseconds from 0 to 60000, not -0.5",
            "config.toml:9:24: `max_turns_per_minute` takes a whole number from 0 to 60000, not -1",
            "config.toml:10:11: `apology` takes a text, or \"\", not a list",
        ],
    );
}

#[test]
fn route_whose_keys_do_not_go_together() {
    tells(
        "[[routes]]\nfrom = 'room:lobby'\nto = 'inbox'\ntrigger = 'mention'\n\
         [[routes]]\nfrom = 'irc'\nto = ['assistant', 'webhook']\nmode = 'echo'",
        &[
            "config.toml:3:6: `to` = \"inbox\" is for conversations on platforms; an agent's name would be right for rooms and direct messages",
            "config.toml:4:11: `trigger` = \"mention\" needs an agent's name, and the inbox has none; \"all\" would be right",
            "config.toml:8:8: `mode` = \"echo\" is for one agent, and `to` is a list; \"live\" or \"listen\" would be right",
        ],
    );
}

#[test]
fn route_that_echoes_into_the_inbox() {
    tells(
        "[[routes]]\nfrom = '*'\nto = 'inbox'\nmode = 'echo'",
        &[
            "config.toml:4:8: `mode` = \"echo\" has nobody to answer where `to` is the inbox; \"live\" or \"listen\" would be right",
        ],
    );
}
