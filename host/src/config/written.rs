//! What the file says: its sections key by key, its instances and its routes. Everything that no part of the host
//! knows is a mistake at its key.

use std::path::Path;

use super::keys::{KEYS, of_section, sections};
use super::layers::Layer;
use super::mistake::{Mistake, instead, nearest, ticked};
use super::node::{Entry, Table, Value};

#[derive(Default)]
pub(super) struct Written<'t> {
    pub layer: Layer,
    /// The tables in `[plugins]`, in the order of the file.
    pub instances: Vec<&'t Entry>,
    pub routes: Option<&'t Entry>,
}

/// Walks the tree once. Files of secrets start at `folder`.
pub(super) fn walk<'t>(root: &'t Table, folder: &Path, mistakes: &mut Vec<Mistake>) -> Written<'t> {
    let mut written = Written::default();
    for entry in &root.0 {
        match (entry.key.as_str(), &entry.node.value) {
            ("routes", _) => written.routes = Some(entry),
            (section, Value::Table(table)) if sections().contains(&section) => {
                walk_section(section, table, folder, &mut written, mistakes);
            }
            (section, other) if sections().contains(&section) => {
                let text = format!("`{section}` takes a table, [{section}], not {}", other.shown());
                mistakes.push(Mistake::new(&entry.node.place, text));
            }
            (key, _) => mistakes.push(Mistake::new(&entry.place, unknown_at_top(key))),
        }
    }
    written
}

fn walk_section<'t>(
    section: &str,
    table: &'t Table,
    folder: &Path,
    written: &mut Written<'t>,
    mistakes: &mut Vec<Mistake>,
) {
    for entry in &table.0 {
        if let Some(key) = of_section(section).find(|key| key.name == entry.key) {
            written.layer.set(key, &entry.node, folder, mistakes);
        } else if section == "plugins" && matches!(entry.node.value, Value::Table(_)) {
            written.instances.push(entry);
        } else {
            mistakes.push(Mistake::new(&entry.place, unknown_in(section, &entry.key)));
        }
    }
}

fn unknown_at_top(key: &str) -> String {
    let known: Vec<&str> = sections().into_iter().chain(["routes"]).collect();
    match (nearest(key, known.iter().copied()), home_of(key)) {
        (None, Some(home)) => format!("unknown key {} at the top; it belongs in [{home}]", ticked(key)),
        _ => format!("unknown key {} at the top{}", ticked(key), instead(key, &known)),
    }
}

fn unknown_in(section: &str, key: &str) -> String {
    let known: Vec<&str> = of_section(section).map(|key| key.name).collect();
    let hint = match (nearest(key, known.iter().copied()), home_of(key)) {
        (None, Some(home)) => format!("; it belongs in [{home}]"),
        (None, None) if section == "plugins" => {
            format!("{}; an instance is a table, [plugins.{}]", instead(key, &known), super::mistake::plain(key))
        }
        _ => instead(key, &known),
    };
    format!("unknown key {} in [{section}]{hint}", ticked(key))
}

/// The section that has a key of this name.
fn home_of(key: &str) -> Option<&'static str> {
    KEYS.iter().find(|known| known.name == key).map(|known| known.section)
}
