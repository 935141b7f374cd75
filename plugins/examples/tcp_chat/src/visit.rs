//! One connection, from the first line to the last. Lines that begin with `*` are the chat's own words.

use crate::inbox::Said;
use crate::lines::{LONGEST, Line, Lines};
use crate::people::{Connection, End, Name, People};
use crate::settings::Settings;
use plugin_api::Host;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Who does not say a name in this time was no person.
const NAMING: Duration = Duration::from_secs(60);

/// For last words. They hold up nobody's end, least of all the host's.
const FAREWELL: Duration = Duration::from_secs(1);

/// What every visit needs.
#[derive(Clone)]
pub(crate) struct Visit {
    pub host: Host,
    pub settings: Arc<Settings>,
    pub people: Arc<People>,
    pub said: mpsc::Sender<Said>,
}

impl Visit {
    pub(crate) async fn run(self, stream: TcpStream) {
        let (reader, writer) = stream.into_split();
        let connection = Connection::new(writer, self.settings.write_timeout());
        let mut lines = Lines::new(reader);
        let name = tokio::select! {
            () = self.host.stopping() => None,
            name = timeout(NAMING, ask_name(&connection, &mut lines)) => name.ok().and_then(Result::ok).flatten(),
        };
        let Some(name) = name else { return };
        self.people.enter(&name, connection.clone());
        // Whoever is gone or does not read is not worth a word in the log.
        if let Ok(Some(last_words)) = self.listen(&name, &connection, &mut lines).await {
            let _ = timeout(FAREWELL, connection.say(last_words)).await;
        }
        self.people.leave(&name, &connection);
    }

    /// Until they leave, or are shown out, with these words.
    async fn listen(
        &self,
        name: &Name,
        connection: &Connection,
        lines: &mut Lines<OwnedReadHalf>,
    ) -> io::Result<Option<&'static str>> {
        connection.say(&format!("* hello {}\n", name.display)).await?;
        loop {
            let line = tokio::select! {
                () = self.host.stopping() => return Ok(Some("* the chat closes; please come again\n")),
                end = connection.ended() => return Ok(farewell(end)),
                line = timeout(self.settings.idle(), lines.next()) => line,
            };
            match line {
                Ok(line) => match line? {
                    Some(Line::Text(text)) if text.trim().is_empty() => {}
                    Some(Line::Text(text)) => self.pass_on(name, text).await,
                    Some(Line::TooLong) => connection.say(&too_long()).await?,
                    None => return Ok(None),
                },
                Err(_) => return Ok(Some("* you were silent for long; please come again\n")),
            }
        }
    }

    /// Waits while the inbox is full, and nothing more is read from them so long.
    async fn pass_on(&self, name: &Name, text: String) {
        // An error means that the inbox failed; the host is then about to start this instance anew.
        let _ = self.said.send(Said { name: name.clone(), text }).await;
    }
}

async fn ask_name(connection: &Connection, lines: &mut Lines<OwnedReadHalf>) -> io::Result<Option<Name>> {
    connection.say("* who are you?\n").await?;
    while let Some(line) = lines.next().await? {
        match line {
            Line::Text(line) if line.trim().is_empty() => {}
            Line::Text(line) => match Name::parse(&line) {
                Some(name) => return Ok(Some(name)),
                None => connection.say("* a name has 1 to 32 letters, digits, _ or -\n").await?,
            },
            Line::TooLong => connection.say(&too_long()).await?,
        }
    }
    Ok(None)
}

fn farewell(end: End) -> Option<&'static str> {
    match end {
        End::Replaced => Some("* you came in again elsewhere\n"),
        End::Broken => None,
    }
}

fn too_long() -> String {
    format!("* a line may have {LONGEST} characters; yours was not passed on\n")
}
