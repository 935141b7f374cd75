//! What can be typed to watch a host and to keep what it has: `doctor`, `tail`, `audit`, `backup`; and what shells and readers of manuals
//! get.

use super::args::Page;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Looks through the whole store, however long that takes
    #[arg(long)]
    pub thorough: bool,
}

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only this room, by name or id
    #[arg(long, value_name = "ROOM", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "conversation")]
    pub room: Option<String>,
    /// Only this conversation, by id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub conversation: Option<String>,
    /// Only these events, such as message,typing
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub kinds: Vec<String>,
    /// Begins behind this event; 0: with the first
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub since: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Deeds of operators, newest first
    #[command(after_help = AUDIT_LIST)]
    List {
        /// Only this action, such as plugins.enable
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        action: Option<String>,
        /// Only deeds by this one, such as operator or signal
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        actor: Option<String>,
        /// done or refused
        #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(["done", "refused"]))]
        outcome: Option<String>,
        /// Only from then on, such as 2026-01-31T12:00:00Z
        #[arg(long, value_name = "TIME", value_parser = NonEmptyStringValueParser::new())]
        since: Option<String>,
        #[command(flatten)]
        page: Page,
    },
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The copy of the store; uploaded files go into FILE.files beside it
    pub file: PathBuf,
    /// Replaces an older backup
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// What `backup` wrote
    pub file: PathBuf,
    /// Moves the store that is there aside
    #[arg(long)]
    pub force: bool,
    /// Pauses plugins with open jobs until you resume them
    #[arg(long)]
    pub paused: bool,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(hide_possible_values = true)]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Writes a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

pub(super) const DOCTOR: &str = "\
Example:
  arcuate doctor

Looks and changes nothing. With a problem the exit code is 1; warnings do not
change it.
JSON: {ok, problems, warnings, findings: [{check, level, text, advice}]}; level
is ok, warning or problem, advice is null where nothing is to be done";

pub(super) const TAIL: &str = "\
Examples:
  arcuate tail
  arcuate tail --room general --kinds message,message_edited
  arcuate tail --since 0 --json

Needs a running host; goes on when that is started again; Ctrl-C ends it.
JSON, a line per event: {seq, event, data}; seq is null for what is not stored";

pub(super) const AUDIT: &str = "\
Example:
  arcuate audit list";

pub(super) const AUDIT_LIST: &str = "\
Examples:
  arcuate audit list --action plugins.enable
  arcuate audit list --outcome refused --since 2026-01-31T12:00:00Z

JSON: {deeds: [{at, actor, origin, action, subject, outcome, detail}], cursor};
the cursor is null on the last page";

pub(super) const BACKUP: &str = "\
Example:
  arcuate backup /var/backups/arcuate-monday.db

Works while the host runs, which goes on meanwhile. The copy is of one moment,
checked, and for its owner alone. A host can be started right from it.
JSON: {file, files, bytes, seq, contents, content_bytes, missing, milliseconds}";

pub(super) const RESTORE: &str = "\
Example:
  arcuate restore /var/backups/arcuate-monday.db

Puts a backup where [store] path says; no host may run there. A store that is
there already stays unless --force is given, which moves it aside: to
STORE.before-restore, or with -2, -3 where that is taken. Nothing is removed.
Jobs that were open in the backup may have been done since: they are marked
uncertain, and run again at the next start, or with --paused once you resume.
JSON: {store, seq, contents, missing, aside, finished, uncertain, paused};
aside is where the earlier store is, finished the same of an earlier restore
that had been cut off, uncertain how many jobs were open";

pub(super) const COMPLETIONS: &str = "\
Examples:
  arcuate completions bash > /etc/bash_completion.d/arcuate
  arcuate completions zsh > ~/.zfunc/_arcuate
  arcuate completions fish > ~/.config/fish/completions/arcuate.fish

JSON: {shell, script}";

pub(super) const MAN: &str = "\
Examples:
  arcuate man | man -l -
  arcuate man --output /usr/local/share/man/man1

JSON: {pages: [{name, text}]}, or {folder, pages: [NAME]} with --output";
