//! `arcuate completions` and `arcuate man`: what shells and manuals get, made of the commands as they are declared.

use super::args::Cli;
use super::view::View;
use super::watching_args::{Completions, Man};
use crate::error::{Error, Result};
use clap::CommandFactory;
use serde_json::json;
use std::fs;
use std::path::Path;

const NAME: &str = "arcuate";
/// Of this version's command line, for the foot of each page; changed with the version.
const DATE: &str = "2026-11-21";

pub(super) fn completions(command: &Completions, view: &View) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), NAME, &mut script);
    let script = text(script)?;
    if view.json {
        return Ok(View::json(&json!({ "shell": command.shell.to_string(), "script": script })));
    }
    Ok(script)
}

pub(super) fn man(command: &Man, view: &View) -> Result<String> {
    let Some(folder) = &command.output else {
        let mut root = Cli::command();
        root.build();
        let page = page(root)?;
        if view.json {
            return Ok(View::json(&json!({ "pages": [{ "name": file_name(NAME), "text": page }] })));
        }
        return Ok(page);
    };
    let pages = pages()?;
    let names: Vec<String> = pages.iter().map(|(name, _)| file_name(name)).collect();
    write(folder, &pages)?;
    if view.json {
        return Ok(View::json(&json!({ "folder": folder.display().to_string(), "pages": names })));
    }
    Ok(format!("{}: {} pages, from {}\n", folder.display(), names.len(), file_name(NAME)))
}

/// A page for each command, as `arcuate-queue-list`.
fn pages() -> Result<Vec<(String, String)>> {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    let mut left = vec![(NAME.to_owned(), root)];
    while let Some((name, command)) = left.pop() {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set());
        left.extend(below.map(|below| (format!("{name}-{}", below.get_name()), below.clone())));
        pages.push((name, page(command)?));
    }
    pages.sort_by_key(|(name, _)| file_name(name));
    Ok(pages)
}

fn page(command: clap::Command) -> Result<String> {
    let mut page = Vec::new();
    let manual = clap_mangen::Man::new(command.clone()).date(DATE).manual("Arcuate");
    let rendered = manual.source(format!("{NAME} {}", env!("CARGO_PKG_VERSION"))).render(&mut page);
    rendered.map_err(|error| Error::Internal(format!("a manual page: {error}")))?;
    Ok(with_values(text(page)?, &command))
}

/// The synopsis leaves out what an option takes.
fn with_values(page: String, command: &clap::Command) -> String {
    let options = command.get_arguments().filter(|option| option.get_action().takes_values());
    options.fold(page, |page, option| {
        let (Some(long), Some([value, ..])) = (option.get_long(), option.get_value_names()) else { return page };
        let name = format!("\\fB\\-\\-{}\\fR", long.replace('-', "\\-"));
        let value = value.replace('-', "\\-");
        let with = |page: String, end: &str| {
            page.replacen(&format!("{name}{end}"), &format!("{name} \\fI{value}\\fR{end}"), 1)
        };
        with(with(page, "]"), ">")
    })
}

fn write(folder: &Path, pages: &[(String, String)]) -> Result<()> {
    let failed = |error| Error::Unavailable(format!("cannot write into {}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    for (name, page) in pages {
        fs::write(folder.join(file_name(name)), page).map_err(failed)?;
    }
    Ok(())
}

fn file_name(name: &str) -> String {
    format!("{name}.1")
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Error::Internal(error.to_string()))
}
