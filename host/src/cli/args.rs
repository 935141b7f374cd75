//! What can be typed: commands, their options, and the help with an example for each.

use super::people_args::{CONVERSATIONS, Conversations, SEND, SEND_USAGE, SendArgs, USERS, Users};
use super::plugins_args::{self, Named};
use super::watching_args as watching;
use crate::access::Scope;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A plugin host that bridges chats to agents.
#[derive(Debug, Parser)]
#[command(name = "arcuate", version, after_help = TOP)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Configuration; else ./config.toml, or the defaults
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// One line of JSON; errors stay text on stderr
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs the host in the foreground (the default)
    #[command(after_help = SERVE)]
    Serve,
    /// Tells every mistake in the configuration, and starts nothing
    #[command(after_help = CHECK)]
    Check,
    /// What runs, what does not, and why
    #[command(subcommand, after_help = PLUGINS)]
    Plugins(Plugins),
    /// Has the running host read its configuration again
    #[command(after_help = plugins_args::RELOAD)]
    Reload,
    /// Finds what is wrong with this set-up, and says what to do
    #[command(after_help = watching::DOCTOR)]
    Doctor(watching::Doctor),
    /// Shows events as they happen
    #[command(after_help = watching::TAIL)]
    Tail(watching::Tail),
    /// Copies the store with its files, also while the host runs
    #[command(after_help = watching::BACKUP)]
    Backup(watching::Backup),
    /// Puts a backup in the store's place
    #[command(after_help = watching::RESTORE)]
    Restore(watching::Restore),
    /// A script that completes commands in a shell
    #[command(after_help = watching::COMPLETIONS)]
    Completions(watching::Completions),
    /// The manual page, or a page for each command
    #[command(after_help = watching::MAN)]
    Man(watching::Man),
    #[command(flatten)]
    Stored(Stored),
}

/// Commands about what the store holds.
#[derive(Debug, Subcommand)]
pub(super) enum Stored {
    /// Work that waits, runs, is done or has failed
    #[command(subcommand, after_help = super::queue_args::QUEUE)]
    Queue(super::queue_args::Queue),
    /// What was bridged
    #[command(subcommand, after_help = CONVERSATIONS)]
    Conversations(Conversations),
    /// The people who wrote
    #[command(subcommand, after_help = USERS)]
    Users(Users),
    /// Says something to somebody on a platform
    #[command(after_help = SEND, override_usage = SEND_USAGE)]
    Send(SendArgs),
    /// Access tokens, for [auth] mode = "token"
    #[command(subcommand, after_help = TOKENS)]
    Tokens(Tokens),
    /// Rooms, and the keys that administer them
    #[command(subcommand, after_help = ROOMS)]
    Rooms(Rooms),
    /// What operators did
    #[command(subcommand, after_help = watching::AUDIT)]
    Audit(watching::Audit),
}

#[derive(Debug, Subcommand)]
pub(super) enum Plugins {
    /// All instances of the configuration
    #[command(after_help = PLUGINS_LIST)]
    List {
        /// Also the other libraries in the plugin directory
        #[arg(long)]
        all: bool,
    },
    /// One instance, with its settings and its jobs
    #[command(after_help = PLUGINS_SHOW)]
    Show {
        /// Of the instance, as in [plugins.NAME]
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Starts one from now on, in the running host and in the file
    #[command(after_help = plugins_args::PLUGINS_ENABLE)]
    Enable(Named),
    /// Stops one from now on, in the running host and in the file
    #[command(after_help = plugins_args::PLUGINS_DISABLE)]
    Disable(Named),
    /// Stops one and starts it again
    #[command(after_help = plugins_args::PLUGINS_RESTART)]
    Restart(Named),
}

#[derive(Debug, Args)]
pub(super) struct Page {
    /// Lines of one page, at most 1000
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Goes on where an earlier page ended
    #[arg(long)]
    pub cursor: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// Makes a token and prints it, this once
    #[command(after_help = TOKENS_CREATE)]
    Create {
        /// Whom it belongs to: their name in chats, 1 to 100 characters
        name: String,
        /// read, write, admin or bridge; several with commas
        #[arg(long = "scope", required = true, value_name = "SCOPE", value_delimiter = ',', hide_possible_values = true,
              value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::name)))]
        scopes: Vec<String>,
    },
    /// Tokens by name; the tokens themselves are not kept
    #[command(after_help = TOKENS_LIST)]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Ends a token, with the streams that it has open
    #[command(after_help = TOKENS_REVOKE)]
    Revoke {
        /// As `tokens list` shows it
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Rooms {
    /// Ordinary rooms, newest activity first, archived ones too
    #[command(after_help = ROOMS_LIST)]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Gives a room a new admin key, and shows it this once
    #[command(after_help = ROOMS_ROTATE_KEY)]
    RotateKey {
        /// Of the room
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

const TOP: &str = "\
Examples:
  arcuate                             serve with ./config.toml or the defaults
  arcuate check                       is the configuration right?
  arcuate plugins list                what runs, and what does not
  arcuate queue list --state failed   what went wrong

Commands ask the running host. When none runs, they open its store themselves.
Exit codes: 0 done · 1 failed (unknown id, store in use, no answer) · 2 usage or
configuration. Colours only on a terminal, and not where NO_COLOR is set.";

const SERVE: &str = "\
Example:
  arcuate serve --config /etc/arcuate/config.toml

ARCUATE_LOG says how much is logged on stderr: error, warn, info (the default),
debug, or per part, such as ARCUATE_LOG=arcuate::queue=debug,info.
JSON, once it listens: {version, pid, listening, config, store, token_file,
plugins: [{name, library, version, enabled, state, reason, …}], warnings}";

const CHECK: &str = "\
Example:
  arcuate check --config /etc/arcuate/config.toml

Mistakes go to stderr, as PATH:LINE:COLUMN: what is wrong, what would be right;
with one of them the exit code is 2. Warnings do not change it.
JSON: {ok, mistakes: [{place, line, column, text}], warnings: [the same]}";

const PLUGINS: &str = "\
Example:
  arcuate plugins list";

const PLUGINS_LIST: &str = "\
Example:
  arcuate plugins list --all

JSON: {plugins: [{name, library, version, state, reason, last_success,
last_error, since, restarts, queue, oldest_pending_seconds, …}], cursor};
with --all also others: [{path, library, version, reason}]";

const PLUGINS_SHOW: &str = "\
Example:
  arcuate plugins show assistant

JSON: as in `plugins list`, and roles, platforms, paused, settings_schema, and
settings: the values that count, secrets as ***";

const TOKENS: &str = "\
Example:
  arcuate tokens create ada --scope write";

const TOKENS_CREATE: &str = "\
Examples:
  arcuate tokens create ada --scope write
  arcuate tokens create poller --scope read,bridge --json

JSON: {name, token, scopes}";

const TOKENS_LIST: &str = "\
Example:
  arcuate tokens list

JSON: {tokens: [{name, scopes, created_at}], cursor}; the cursor is null on the
last page";

const TOKENS_REVOKE: &str = "\
Example:
  arcuate tokens revoke ada

JSON: {name, revoked}";

const ROOMS: &str = "\
Example:
  arcuate rooms list";

const ROOMS_LIST: &str = "\
Example:
  arcuate rooms list --limit 10

JSON: {rooms: [{id, name, description, created_by, created_at, message_count,
last_activity, …}], cursor}";

const ROOMS_ROTATE_KEY: &str = "\
Example:
  arcuate rooms rotate-key kitchen

The old key opens nothing any more.  JSON: {name, admin_key}";
