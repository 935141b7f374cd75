//! What is installed on real machines: the service's unit, the package's and the image's contents, the configuration that they bring.

use arcuate_tests::host::Setup;
use arcuate_tests::skip::skipped;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use toml_edit::DocumentMut;

/// The highest exposure that `systemd-analyze security` may find, in tenths; it finds 1.2.
const EXPOSURE: u32 = 15;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root of the repository")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn toml(path: &str) -> DocumentMut {
    text(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a command says on both outputs; None where there is no such command, which is then told.
fn told(test: &str, command: &mut Command) -> Option<(bool, String)> {
    match command.output() {
        Ok(Output { status, stdout, stderr }) => {
            let told = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            Some((status.success(), told))
        }
        Err(error) => {
            skipped(test, &format!("{:?}: {error}", command.get_program()));
            None
        }
    }
}

/// `lib<name>.so` of each plugin that `cargo build` makes, and the package that it is of.
fn shipped_plugins() -> Vec<String> {
    let manifest = toml("Cargo.toml");
    let members = manifest["workspace"]["default-members"].as_array().expect("the members that are built by default");
    let plugins = members.iter().filter_map(|member| member.as_str()?.strip_prefix("plugins/"));
    plugins.map(|name| format!("lib{name}.so")).collect()
}

#[test]
fn unit_is_understood_and_shuts_the_service_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = folder.path().join("arcuate.service");
    // The program is not installed on this machine.
    let setup = Setup::new("");
    let program = setup.program();
    fs::write(&unit, text("packaging/arcuate.service").replace("/usr/bin/arcuate", &program.display().to_string()))
        .expect("the unit is written");
    let Some((fine, complaints)) = told("the unit", Command::new("systemd-analyze").arg("verify").arg(&unit)) else {
        return;
    };
    let ours: Vec<_> = complaints.lines().filter(|line| line.contains("arcuate")).collect();
    // A program outside the service's own view of the machine is no mistake of the unit.
    assert!(fine || ours.is_empty(), "{complaints}");
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE}")]).arg(&unit);
    if let Some((fine, told)) = told("the unit's exposure", &mut command) {
        assert!(fine && told.contains("Overall exposure level"), "{told}");
    }
}

#[test]
fn unit_gives_the_host_the_time_that_it_may_take_to_end() {
    let unit = text("packaging/arcuate.service");
    let seconds = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect(key);
        line.trim_end_matches('s').parse::<i64>().expect("a number of seconds")
    };
    let config = toml("config.toml");
    let takes = |section: &str, key: &str| config[section][key].as_integer().expect(key);
    assert!(seconds("TimeoutStopSec") > takes("server", "shutdown_seconds") + takes("plugins", "stop_seconds"));
    for line in ["Type=notify", "Restart=on-failure", "NoNewPrivileges=true", "ProtectSystem=strict", "User=arcuate"] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn configuration_of_the_package_is_right() {
    let setup = Setup::new("");
    let mut check = Command::new(setup.program());
    check.arg("check").arg("--config").arg(root().join("packaging/config.toml"));
    // Nothing of the package is installed here.
    check.env("ARCUATE__PLUGINS__DIRECTORY", setup.folder().join("bin"));
    let (fine, told) = told("the configuration", &mut check).expect("the program runs");
    assert!(fine && told.ends_with(": ok\n"), "{told}");
    let config = toml("packaging/config.toml");
    assert_eq!(config["plugins"]["directory"].as_str(), Some("/usr/lib/arcuate/plugins"));
    assert_eq!(config["store"]["path"].as_str(), Some("/var/lib/arcuate/arcuate.db"));
}

#[test]
fn package_has_the_host_each_plugin_and_the_configuration_as_a_conffile() {
    let manifest = toml("host/Cargo.toml");
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].as_array().expect("assets");
    let place = |source: &str| {
        let asset = assets
            .iter()
            .filter_map(|asset| asset.as_array())
            .find(|asset| asset.get(0).and_then(|from| from.as_str()).is_some_and(|from| from.ends_with(source)));
        let asset = asset.unwrap_or_else(|| panic!("{source} is not in the package"));
        [1, 2].map(|index| asset.get(index).and_then(|value| value.as_str()).expect("a text").to_owned())
    };
    assert_eq!(place("release/arcuate"), ["usr/bin/", "755"]);
    for library in shipped_plugins() {
        assert_eq!(place(&library), ["usr/lib/arcuate/plugins/", "644"]);
    }
    assert_eq!(place("packaging/config.toml"), ["etc/arcuate/config.toml", "640"]);
    let conffile = deb["conf-files"].as_array().and_then(|files| files.get(0)).and_then(|file| file.as_str());
    assert_eq!(conffile, Some("/etc/arcuate/config.toml"));
    // What is not generated must be there, or the build of the package fails.
    for asset in assets.iter().filter_map(|asset| asset.as_array()?.get(0)?.as_str()) {
        let (folder, _) = asset.split_once('*').unwrap_or((asset, ""));
        assert!(asset.contains("target/") || root().join("host").join(folder).exists(), "{asset}");
    }
}

/// Each file of the package and where it goes, folders and wildcards as the files that they stand for.
fn package() -> BTreeMap<PathBuf, PathBuf> {
    let manifest = toml("host/Cargo.toml");
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().expect("assets");
    let mut package = BTreeMap::new();
    for asset in assets.iter().filter_map(|asset| asset.as_array()) {
        let [from, to] = [0, 1].map(|index| asset.get(index).and_then(|value| value.as_str()).expect("a text"));
        let from = root().join("host").join(from);
        let (folder, pattern) = (from.parent().expect("a folder"), from.file_name().and_then(|name| name.to_str()));
        let Ok(entries) = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) else {
            continue;
        };
        let fits = |name: &str| match pattern.expect("a name").split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => Some(name) == pattern,
        };
        for entry in entries.iter().filter(|entry| entry.file_name().to_str().is_some_and(fits)) {
            let place = if to.ends_with('/') { Path::new(to).join(entry.file_name()) } else { to.into() };
            package.insert(place, entry.path());
        }
    }
    package
}

#[test]
fn pages_of_the_package_lead_to_what_is_in_it() {
    let package = package();
    let mut lost = Vec::new();
    for (place, source) in package.iter().filter(|(place, _)| place.extension().is_some_and(|ending| ending == "md")) {
        let page = fs::read_to_string(source).expect("a page");
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        // The sources of plugins are for those who have the sources.
        let near =
            targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.contains("/plugins/"));
        for target in near {
            let mut led = place.parent().expect("a folder").to_owned();
            for part in Path::new(target) {
                if part == ".." {
                    led.pop();
                } else {
                    led.push(part);
                }
            }
            if !package.contains_key(&led) && !package.keys().any(|place| place.starts_with(&led)) {
                lost.push(format!("{}: {target}", place.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    let docs = Path::new("usr/share/doc/arcuate");
    for name in ["LICENSE", "examples/monitoring/alerts.yml", "examples/monitoring/dashboard.json", "docs/operators.md"]
    {
        assert!(package.contains_key(&docs.join(name)), "{name}");
    }
}

#[test]
fn package_has_the_manual_and_completions_that_its_script_makes() {
    let (manifest, script) = (toml("host/Cargo.toml"), text("packaging/build_deb.sh"));
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].to_string();
    for (place, command) in [
        ("usr/share/man/man1/", "arcuate man --output target/manual"),
        ("usr/share/bash-completion/completions/arcuate", "for shell in bash zsh fish"),
        ("usr/share/zsh/vendor-completions/_arcuate", "arcuate completions \"$shell\""),
        ("usr/share/fish/vendor_completions.d/arcuate.fish", "target/completions/arcuate.$shell"),
    ] {
        assert!(assets.contains(place) && script.contains(command), "{place}");
    }
    assert!(!deb["maintainer"].as_str().expect("a maintainer").contains("localhost"));
    let unit = text("packaging/arcuate.service");
    let pages = unit.lines().find_map(|line| line.strip_prefix("Documentation=")).expect("its pages");
    let page = pages.split(' ').find_map(|page| page.strip_prefix("file:///")).expect("a page");
    assert!(package().contains_key(Path::new(page)), "{page}");
}

#[test]
fn maintainer_scripts_are_shell_and_leave_the_store_alone() {
    for name in ["postinst", "prerm", "postrm"] {
        let path = format!("packaging/debian/{name}");
        let script = text(&path);
        assert!(script.contains("set -e") && script.contains("\n#DEBHELPER#\n"), "{path}");
        assert!(!script.contains("rm -"), "{path} removes something");
        let mut check = Command::new("sh");
        let (fine, told) = told(&path, check.arg("-n").arg(root().join(&path))).expect("a shell");
        assert!(fine, "{path}: {told}");
    }
    for name in ["packaging/build_deb.sh", "packaging/try_deb.sh"] {
        let mut check = Command::new("bash");
        let (fine, told) = told(name, check.arg("-n").arg(root().join(name))).expect("bash");
        assert!(fine, "{name}: {told}");
    }
}

/// Instructions of the image, with their lines joined.
fn instructions() -> Vec<String> {
    let file = text("packaging/Containerfile").replace("\\\n", " ");
    let lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn image_runs_the_host_as_nobody_special_and_asks_it_how_it_is() {
    let all = instructions();
    let toolchain = toml("rust-toolchain.toml");
    let channel = toolchain["toolchain"]["channel"].as_str().expect("the toolchain");
    assert!(all.contains(&format!("ARG RUST={channel}")), "the image builds with the toolchain of the repository");
    let last = all.iter().rposition(|line| line.starts_with("FROM ")).expect("a stage");
    let (build, image) = all.split_at(last);
    assert!(build.iter().any(|line| line == "RUN cargo build --release --locked"), "{build:#?}");
    assert!(build.iter().chain(image).filter(|line| line.starts_with("FROM ")).all(|line| !line.contains(":latest")));
    let line = |start: &str| {
        image.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {image:#?}"))
    };
    assert!(!["root", "0"].iter().any(|user| line("USER ").trim_start_matches("USER ").starts_with(user)));
    assert!(line("HEALTHCHECK ").contains("\"arcuate\", \"plugins\", \"list\""));
    assert_eq!(line("STOPSIGNAL"), "STOPSIGNAL SIGTERM");
    assert_eq!(line("ENTRYPOINT"), "ENTRYPOINT [\"arcuate\"]");
    for name in shipped_plugins().iter().map(String::as_str).chain(["arcuate /usr/bin/"]) {
        assert!(image.iter().any(|line| line.starts_with("COPY --from=build") && line.contains(name)), "{name}");
    }
    // Whatever is copied from the checkout is there.
    for line in image.iter().filter(|line| line.starts_with("COPY ") && !line.contains("--from=")) {
        let source = line.split(' ').find(|word| word.contains('/') && !word.starts_with("--")).expect("a source");
        assert!(root().join(source).exists(), "{line}");
    }
}
