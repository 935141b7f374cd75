//! `arcuate send`: says something to somebody on a platform, by the running host, or into the store for its next start.

use super::harmless::line;
use super::people_args::SendArgs;
use super::session::Desk;
use super::view::{View, field};
use crate::admin;
use crate::bridge::send::{self, Send};
use crate::error::{Error, Result};
use serde_json::Value;
use std::io::Read;

/// More than any message has.
const LONGEST: u64 = 64 * 1024;

pub(super) async fn run(asked: &SendArgs, desk: &Desk, view: &View) -> Result<String> {
    let content = if asked.text == "-" { from_stdin()? } else { asked.text.clone() };
    let message = Send {
        platform: asked.platform.clone(),
        platform_user_id: asked.user.clone(),
        conversation_id: asked.conversation.clone(),
        content,
        sender: Some(asked.sender.clone()),
    };
    let key = asked.key.as_deref();
    let sent = match desk {
        Desk::Host(host) => host.post_once("send", &message, key).await?,
        Desk::Rest(rest) => {
            let actor = admin::at_the_command_line();
            let json = send::send(&rest.store, &actor, &message, key.map(str::to_owned)).await?;
            serde_json::from_str::<Value>(&json).map_err(|error| Error::Internal(format!("a message: {error}")))?
        }
    };
    if view.json {
        return Ok(View::json(&sent));
    }
    let when = match desk {
        Desk::Host(_) => "sent",
        Desk::Rest(_) => "stored; it goes out when the host starts",
    };
    Ok(format!("{when}: message {} by {}\n", field(&sent, "id"), line(&field(&sent, "sender"))))
}

fn from_stdin() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| Error::Invalid(format!("the text on stdin cannot be read: {error}")))?;
    Ok(text)
}
