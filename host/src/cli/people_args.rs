//! What can be typed about people and their conversations: commands, options, and the help with an example for each.

use super::args::Page;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Conversations {
    /// Conversations, newest first
    #[command(after_help = CONVERSATIONS_LIST)]
    List {
        /// Only conversations of this platform
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        platform: Option<String>,
        /// Only conversations of the person with this id
        #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
        user: Option<String>,
        /// taken or open
        #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(["taken", "open"]))]
        state: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One conversation, and who speaks there
    #[command(after_help = CONVERSATIONS_SHOW)]
    Show {
        /// As `conversations list` shows it
        id: String,
    },
    /// Silences the agent there: a person speaks in its place
    #[command(after_help = CONVERSATIONS_TAKEOVER)]
    Takeover {
        /// As `conversations list` shows it
        id: String,
        /// Who speaks there now
        #[arg(long, value_name = "NAME", default_value = crate::bridge::takeover::OPERATOR)]
        sender: String,
        /// For how long, a week at most; else until it is released
        #[arg(long, value_name = "N")]
        minutes: Option<f64>,
    },
    /// Gives a conversation back to the agent
    #[command(after_help = CONVERSATIONS_RELEASE)]
    Release {
        /// As `conversations list` shows it
        id: String,
        /// Only if this one has it; else whoever has it
        #[arg(long, value_name = "NAME")]
        sender: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// People with their profiles on platforms, newest first
    #[command(after_help = USERS_LIST)]
    List {
        /// Only people on this platform
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        platform: Option<String>,
        /// Only whom a platform calls so
        #[arg(long = "user", alias = "platform-user-id", value_name = "ID",
              value_parser = NonEmptyStringValueParser::new())]
        platform_user_id: Option<String>,
        /// Only people with this part in a name, in any case
        #[arg(long, value_name = "PART", value_parser = NonEmptyStringValueParser::new())]
        q: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One person, with their profiles and who was merged into them
    #[command(after_help = USERS_SHOW)]
    Show {
        /// As `users list` shows it; that of a merged person leads to the other one
        id: String,
    },
    /// Makes one person of two: the first one's profiles move
    #[command(after_help = USERS_MERGE)]
    Merge {
        /// Whose profiles move
        id: String,
        /// Who has them from then on
        into: String,
    },
    /// Undoes merges, or gives one profile a person of its own
    #[command(after_help = USERS_SPLIT)]
    Split {
        /// Who has the profiles, or one who was merged away
        id: String,
        /// Only this profile
        #[arg(value_name = "PLATFORM:USER_ID")]
        profile: Option<String>,
    },
    /// All that is known of a person, as lines of JSON
    #[command(after_help = USERS_EXPORT)]
    Export {
        /// As `users list` shows it
        id: String,
        /// Into a new file, for its owner alone; else to stdout
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Removes what is known of a person. There is no way back
    #[command(after_help = USERS_FORGET)]
    Forget {
        /// As `users list` shows it
        id: String,
        /// Does not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// A message to somebody who wrote before.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// One conversation, as `conversations list` shows it
    #[arg(long, value_name = "ID", required_unless_present = "platform", conflicts_with_all = ["platform", "user"])]
    pub conversation: Option<String>,
    /// Where the person is
    #[arg(long, requires = "user")]
    pub platform: Option<String>,
    /// What the platform calls the person
    #[arg(long, value_name = "ID", requires = "platform")]
    pub user: Option<String>,
    /// Who writes
    #[arg(long, value_name = "NAME", default_value = crate::bridge::takeover::OPERATOR)]
    pub sender: String,
    /// With the same key again nothing is sent
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// What to say; - reads it from stdin
    pub text: String,
}

pub(super) const CONVERSATIONS: &str = "\
Example:
  arcuate conversations list";

const CONVERSATIONS_LIST: &str = "\
Examples:
  arcuate conversations list --platform web_chat
  arcuate conversations list --state taken

JSON: {conversations: [{id, room_id, plugin, external_id, user, last_activity,
state, taken_by, taken_until, …}], cursor}";

const CONVERSATIONS_SHOW: &str = "\
Example:
  arcuate conversations show 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b

JSON: {id, room_id, plugin, platform, external_id, user, created_at,
last_activity, state, taken_by, taken_until, message_count, response_count}";

const CONVERSATIONS_TAKEOVER: &str = "\
Example:
  arcuate conversations takeover 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b \\
      --sender ada --minutes 30

Turns that wait are set aside; an answer that is under way is not said.
JSON: the conversation, as `conversations show` has it";

const CONVERSATIONS_RELEASE: &str = "\
Example:
  arcuate conversations release 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b

JSON: the conversation, as `conversations show` has it";

pub(super) const USERS: &str = "\
Example:
  arcuate users list";

const USERS_LIST: &str = "\
Examples:
  arcuate users list --q ada
  arcuate users list --platform web_chat --user 0123456789abcdef

JSON: {users: [{id, name, profiles: [{platform, platform_user_id, username,
display_name, …}]}], cursor}";

const USERS_SHOW: &str = "\
Example:
  arcuate users show 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b

JSON: {id, name, created_at, profiles: [{platform, platform_user_id, username,
display_name, …}], merged: [{id, name}]}";

const USERS_MERGE: &str = "\
Example:
  arcuate users merge 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b \\
      0198c0de-8a01-7c44-8000-9d8e7f6a5b4c

Undone by `users split`.  JSON: {user, merged, profiles}";

const USERS_SPLIT: &str = "\
Examples:
  arcuate users split 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b
  arcuate users split 0198c0de-8a01-7c44-8000-9d8e7f6a5b4c \\
      web_chat:0123456789abcdef

A profile goes back to whom it was of before the merge, or to a new person.
JSON: {users, profiles}";

const USERS_EXPORT: &str = "\
Example:
  arcuate users export 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b --output ada.jsonl

JSON: one object a line, each with its kind: person, profile, conversation,
message, file, job; and end, without which it is not whole. With --output and
--json: {file, bytes, lines}";

const USERS_FORGET: &str = "\
Example:
  arcuate users forget 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b

Asks first on a terminal. What was ingested once stays known by its key, so
that it does not come in again.
JSON: {id, done, removed: {conversations, messages, files, profiles},
not_covered: [texts]}";

pub(super) const SEND_USAGE: &str = "\
arcuate send [OPTIONS] --platform <PLATFORM> --user <ID> <TEXT>
       arcuate send [OPTIONS] --conversation <ID> <TEXT>";

pub(super) const SEND: &str = "\
Examples:
  arcuate send --platform web_chat --user 0123456789abcdef 'The soup is ready.'
  arcuate send --conversation 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b - < text

JSON: the message";
