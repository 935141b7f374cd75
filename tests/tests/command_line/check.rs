//! `arcuate check`: every sort of mistake with its place, and nothing started.

use super::{Ran, arcuate, command, fresh, names, ran};
use serde_json::json;

fn check(config: &str) -> Ran {
    arcuate(&fresh(config).0, &["check"])
}

#[test]
fn right_configuration_is_ok_and_nothing_is_made() {
    let (setup, path) = fresh("[server]\nbind = \"127.0.0.1:0\"\n");
    let before = names(setup.folder());
    assert_eq!(arcuate(&setup, &["check"]).done(), "config.toml: ok\n");
    let path = path.display().to_string();
    assert_eq!(arcuate(&setup, &["check", "--config", &path]).done(), format!("{path}: ok\n"));
    assert_eq!(arcuate(&setup, &["--json", "check"]).json(), json!({ "ok": true, "mistakes": [], "warnings": [] }));
    assert_eq!(names(setup.folder()), before);
}

#[test]
fn without_a_file_the_defaults_hold() {
    let (setup, path) = fresh("");
    std::fs::remove_file(path).expect("the file goes");
    let told = arcuate(&setup, &["check"]).done();
    assert!(told.contains("defaults") && told.contains("no config.toml"), "{told}");
}

#[test]
fn each_mistake_of_the_host_is_told_with_its_place() {
    let config = "[server]\nbind = \"nowhere\"\ncolour = 1\n[queue]\nmax_attempts = \"ten\"\n[plugins.Bad]\n\
                  [[routes]]\nfrom = \"bridge\"\nto = \"nobody\"\n";
    let told = check(config).refused(2, &["colour", "max_attempts", "Bad", "nobody"]);
    let places: Vec<_> = told.lines().filter_map(|line| line.split(": ").next()).collect();
    let expected = ["2:8", "3:1", "5:16", "6:10", "9:6"].map(|place| format!("config.toml:{place}"));
    assert_eq!(places, expected, "{told}");
}

#[test]
fn settings_and_libraries_of_enabled_instances_are_mistakes_too() {
    let config = "[plugins.shop]\nlibrary = \"web_chat\"\n[plugins.shop.settings]\n\
                  api_url = \"example.org\"\napi_key = \"key\"\nbatch = 0\n\
                  [plugins.gone]\n[plugins.off]\nenabled = false\n[[routes]]\nfrom = \"*\"\nto = \"assistant\"\n";
    let told = check(config).refused(2, &["config.toml:7:10: plugin gone: no libgone.so in "]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 3, "a line per mistake, none of what is switched off: {told}");
    assert!(lines[0].starts_with("config.toml:4:11: ") && lines[0].contains("api_url"), "{told}");
    assert!(lines[1].starts_with("config.toml:6:9: ") && lines[1].contains("batch"), "{told}");
}

#[test]
fn missing_library_of_a_default_instance_has_the_file_as_its_place() {
    let (setup, path) = fresh("");
    std::fs::remove_file(setup.folder().join("bin/libagent_invoker.so")).expect("the library goes");
    arcuate(&setup, &["check"]).refused(2, &["config.toml: plugin assistant: no libagent_invoker.so in "]);
    std::fs::remove_file(path).expect("the file goes");
    arcuate(&setup, &["check"]).refused(2, &["the defaults: plugin assistant: no libagent_invoker.so in "]);
}

#[test]
fn warnings_change_no_exit_code() {
    let (setup, _) = fresh(
        "[plugins.web_chat]\nenabled = true\n[plugins.web_chat.settings]\napi_url = \"http://127.0.0.1:1/\"\n\
         api_key = \"key\"\n[plugins.assistant]\nenabled = false\n",
    );
    let Ran { code, stdout, stderr } = arcuate(&setup, &["check"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "config.toml: ok\n"), "{stderr}");
    assert!(stderr.lines().all(|line| line.starts_with("warning: ")), "{stderr}");
    assert!(
        stderr.contains("config.toml:1:10: no route from web_chat: messages are stored, nobody answers"),
        "{stderr}"
    );
    assert!(stderr.contains("assistant"), "the default route leads to an instance that is off: {stderr}");
    let told = arcuate(&setup, &["check", "--json"]).json();
    assert_eq!((&told["ok"], told["warnings"].as_array().map(Vec::len)), (&json!(true), Some(2)), "{told}");
}

#[test]
fn json_has_each_mistake_with_file_line_and_column() {
    let (setup, _) = fresh("[server]\nbind = 1\n");
    let mut command = command(&setup, &["check", "--json"]);
    let Ran { code, stdout, stderr } = ran(command.env("ARCUATE__QUEUE__MAX_ATTEMPTS", "many"));
    assert_eq!((code, stderr.as_str()), (Some(2), ""), "{stdout}");
    let told: serde_json::Value = serde_json::from_str(&stdout).expect("one line of JSON");
    assert_eq!((&told["ok"], &told["warnings"]), (&json!(false), &json!([])));
    let mistakes = told["mistakes"].as_array().expect("a list of mistakes");
    let place = |index: usize| [&mistakes[index]["place"], &mistakes[index]["line"], &mistakes[index]["column"]];
    assert_eq!(place(0), [&json!("config.toml"), &json!(2), &json!(8)], "{told}");
    assert_eq!(place(1), [&json!("ARCUATE__QUEUE__MAX_ATTEMPTS"), &json!(null), &json!(null)], "{told}");
    assert!(mistakes.iter().all(|mistake| mistake["text"].is_string()), "{told}");
}

#[test]
fn file_that_is_not_there_or_no_toml_is_refused_by_every_command() {
    let (setup, _) = fresh("[server\n");
    for arguments in [&["check"][..], &["serve"], &[], &["plugins", "list"], &["queue", "list"], &["users", "list"]] {
        arcuate(&setup, arguments).refused(2, &["config.toml:1:8: not TOML"]);
        let elsewhere = [arguments, &["--config", "no/such.toml"]].concat();
        arcuate(&setup, &elsewhere).refused(2, &["no/such.toml: cannot be read: No such file"]);
    }
}
