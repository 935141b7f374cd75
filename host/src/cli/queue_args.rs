//! What can be typed behind `arcuate queue`: its commands, their options, and their help.

use super::args::Page;
use super::queue_cleanup::QUEUE_CLEANUP;
use super::turns::{QUEUE_CANCEL, QueueCancel};
use crate::admin::queue_filter::span;
use crate::store::State;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use plugin_api::types::Priority;

#[derive(Debug, Subcommand)]
pub(super) enum Queue {
    /// Jobs, newest first
    #[command(after_help = LIST)]
    List(QueueList),
    /// One job with all its attempts
    #[command(after_help = SHOW)]
    Show {
        /// As `queue list` shows it
        id: String,
    },
    /// Runs failed or flushed jobs again, under their old ids
    #[command(after_help = RETRY, override_usage = RETRY_USAGE)]
    Retry(QueueRetry),
    /// Marks pending jobs as flushed: kept for the record, not run
    #[command(after_help = FLUSH, override_usage = FLUSH_USAGE)]
    Flush(QueueFlush),
    /// Removes jobs and their record; one that runs is refused
    #[command(after_help = DELETE, override_usage = DELETE_USAGE)]
    Delete(QueueDelete),
    /// Removes what ended longer ago than [queue] keeps it
    #[command(after_help = QUEUE_CLEANUP)]
    Cleanup,
    /// Ends a turn of an agent that runs: it has failed
    #[command(after_help = QUEUE_CANCEL)]
    Cancel(QueueCancel),
    /// Says which lanes of a plugin go first
    #[command(after_help = PRIORITIZE, override_usage = PRIORITIZE_USAGE)]
    Prioritize(QueuePrioritize),
    /// Holds a plugin's jobs back, or those of one lane; what runs ends
    #[command(after_help = PAUSE)]
    Pause(QueuePause),
    /// Lets what was paused go on
    #[command(after_help = RESUME)]
    Resume(QueueResume),
    /// What is paused, since when and why
    #[command(after_help = PAUSED)]
    Paused,
}

#[derive(Debug, Args)]
pub(super) struct QueueList {
    /// pending, processing, completed, failed or flushed
    #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(State::ALL.map(State::name)))]
    pub state: Option<String>,
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub page: Page,
}

/// Filters that narrow a list or a deed.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Which {
    /// Only jobs of this plugin instance
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub plugin: Option<String>,
    /// Only jobs of this kind: agent_turn, deliver, …
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub kind: Option<String>,
    /// Only jobs of this lane: a conversation, an endpoint
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub lane: Option<String>,
    /// Only jobs made longer ago: 90s, 15m, 1h, 7d
    #[arg(long, value_name = "SPAN", value_parser = time)]
    pub older_than: Option<String>,
    /// Only jobs made within this time
    #[arg(long, value_name = "SPAN", value_parser = time)]
    pub newer_than: Option<String>,
    /// Only jobs whose last error has this part
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub error: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct QueueRetry {
    /// Some jobs, by their ids
    #[arg(value_name = "ID", required_unless_present = "state",
          conflicts_with_all = ["state", "plugin", "kind", "lane", "older_than", "newer_than", "error"])]
    pub ids: Vec<String>,
    /// All jobs in this state: failed or flushed
    #[arg(long, hide_possible_values = true, value_parser = [State::Failed.name(), State::Flushed.name()])]
    pub state: Option<String>,
    #[command(flatten)]
    pub which: Which,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true,
        args = ["all", "plugin", "kind", "lane", "older_than", "newer_than", "error"])]
pub(super) struct QueueFlush {
    /// All pending jobs
    #[arg(long, conflicts_with_all = ["plugin", "kind", "lane", "older_than", "newer_than", "error"])]
    pub all: bool,
    #[command(flatten)]
    pub which: Which,
    /// Does not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct QueueDelete {
    /// The jobs, by their ids
    #[arg(value_name = "ID", required_unless_present = "state",
          conflicts_with_all = ["state", "plugin", "kind", "lane", "older_than", "newer_than", "error"])]
    pub ids: Vec<String>,
    /// All jobs in this state: any but processing
    #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(DELETABLE.map(State::name)))]
    pub state: Option<String>,
    #[command(flatten)]
    pub which: Which,
    /// Does not ask
    #[arg(long, short)]
    pub yes: bool,
}

const DELETABLE: [State; 4] = [State::Pending, State::Completed, State::Failed, State::Flushed];

#[derive(Debug, Args)]
#[group(id = "whom", required = true, multiple = true,
        args = ["ids", "plugin", "kind", "lane", "older_than", "newer_than", "error"])]
pub(super) struct QueuePrioritize {
    /// Some jobs, by their ids; else the pending ones that fit
    #[arg(value_name = "ID", conflicts_with_all = ["plugin", "kind", "lane", "older_than", "newer_than", "error"])]
    pub ids: Vec<String>,
    /// high, normal or low
    #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(Priority::ALL.map(Priority::name)))]
    pub priority: String,
    #[command(flatten)]
    pub which: Which,
}

#[derive(Debug, Args)]
pub(super) struct QueuePause {
    #[command(flatten)]
    pub held: Holding,
    /// For whoever sees it later
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub(super) struct QueueResume {
    #[command(flatten)]
    pub held: Holding,
}

/// What is held back, or goes on.
#[derive(Debug, Args)]
pub(super) struct Holding {
    /// The plugin instance
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub plugin: String,
    /// One of its lanes; else all of it
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub lane: Option<String>,
}

/// Checked here, so that a mistake is told before anything is opened.
fn time(text: &str) -> Result<String, String> {
    span("it", text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(super) const QUEUE: &str = "\
Example:
  arcuate queue list --state failed";

const LIST: &str = "\
Examples:
  arcuate queue list --state failed --plugin web_chat
  arcuate queue list --state failed --error timeout --newer-than 1h

JSON: {jobs: [{id, kind, state, plugin, lane, attempts, max_attempts, next_at,
last_error, created_at}], cursor}; the cursor is null on the last page. A job
also has paused: true while it is held, and priority where that is not normal.";

const SHOW: &str = "\
Example:
  arcuate queue show 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b

JSON: the job as listed, and {rescues, uncertain, cause, started_at,
finished_at, payload, attempts_log: [{started_at, ended_at, outcome, error,
status}]}";

const RETRY: &str = "\
Examples:
  arcuate queue retry 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b
  arcuate queue retry --state failed --plugin web_chat --error timeout

Ids stay, and with them the idempotency keys; attempts count from 0 again.
JSON: {affected}";

const RETRY_USAGE: &str = "\
arcuate queue retry <ID>...
       arcuate queue retry --state failed|flushed [FILTERS]";

const FLUSH: &str = "\
Example:
  arcuate queue flush --plugin web_chat --older-than 1h

Asks first on a terminal.  JSON: {affected}";

const FLUSH_USAGE: &str = "\
arcuate queue flush --all
       arcuate queue flush [FILTERS]";

const DELETE: &str = "\
Examples:
  arcuate queue delete 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b
  arcuate queue delete --state failed --older-than 30d

Asks first on a terminal.  JSON: {affected}";

const DELETE_USAGE: &str = "\
arcuate queue delete <ID>...
       arcuate queue delete --state pending|completed|failed|flushed [FILTERS]";

const PRIORITIZE: &str = "\
Example:
  arcuate queue prioritize 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b --priority high

Of a plugin's lanes, the one whose next job is the most urgent goes first; the
order within a lane never changes.  JSON: {affected}";

const PRIORITIZE_USAGE: &str = "\
arcuate queue prioritize <ID>... --priority high|normal|low
       arcuate queue prioritize [FILTERS] --priority high|normal|low";

const PAUSE: &str = "\
Example:
  arcuate queue pause --plugin web_chat --reason \"the site moves\"

Also over restarts. Jobs wait and count no attempt.  JSON: {affected}, which is
0 if it was paused already.";

const RESUME: &str = "\
Example:
  arcuate queue resume --plugin web_chat

Without --lane, all that is paused of the plugin.  JSON: {affected}";

const PAUSED: &str = "\
Example:
  arcuate queue paused

JSON: {paused: [{plugin, lane, reason, paused_at, paused_by}]}; the lane is null
where the whole plugin is paused";
