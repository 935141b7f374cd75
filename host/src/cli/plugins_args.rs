//! What can be typed to change plugins and the configuration of a running host, with the help for it.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Of the instance, as in [plugins.NAME]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
}

pub(super) const RELOAD: &str = "\
Example:
  arcuate reload

Plugins, routes, limits, the bridge's keys and more change at once; what needs a
restart is named. A mistake anywhere changes nothing, and the exit code is 2. It
is 1 if an instance did not come up; one that ran goes on as it was.
SIGHUP does the same and tells the log.
JSON: {changed, restarted, started, stopped, failed: [{name, state, reason}],
needs_restart: [{key, why}], warnings}";

pub(super) const PLUGINS_ENABLE: &str = "\
Example:
  arcuate plugins enable web_chat

Writes `enabled = true` into the configuration file, whose comments stay, and
has the host read it again. Without a host it only writes the file. Also lifts a
quarantine. Exit code 1 if it does not come up, 2 if it could not: then the file
stays as it is.
JSON: as `plugins show`, and what `reload` answers";

pub(super) const PLUGINS_DISABLE: &str = "\
Example:
  arcuate plugins disable web_chat

Writes `enabled = false` into the configuration file, whose comments stay, and
has the host read it again. Jobs under way get stop_seconds to end; the others
wait until it is enabled. Without a host it only writes the file.
JSON: as `plugins show`, and what `reload` answers";

pub(super) const PLUGINS_RESTART: &str = "\
Example:
  arcuate plugins restart assistant

With its library as the file is now. Jobs under way get stop_seconds to end, or
are done again. Also lifts a quarantine. Exit code 1 if it does not come up; if
it ran, it goes on with the settings and the library that it had.
JSON: as `plugins show`, and what `reload` answers";
