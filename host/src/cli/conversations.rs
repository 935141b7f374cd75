//! `arcuate conversations`: what was bridged, who speaks there, and how a person takes the agent's place.

use super::ago;
use super::people_args::Conversations;
use super::session::Desk;
use super::table::{Fit, Shown, Table, Tone, pairs};
use super::view::{Filters, View, field, items};
use crate::admin;
use crate::bridge::conversations;
use crate::bridge::takeover::{self, Release, TakeOver};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::http::Params;
use serde_json::Value;

pub(super) async fn run(command: &Conversations, desk: &Desk, view: &View) -> Result<String> {
    match command {
        Conversations::List { platform, user, state, page } => {
            let filters = Filters::new(page)
                .and("platform", platform.as_ref())
                .and("user", user.as_ref())
                .and("state", state.as_ref());
            list(&filters, desk, view).await
        }
        Conversations::Show { id } => {
            // What is no id is nobody's path either.
            let id = conversations::conversation_id(id)?.to_string();
            let shown = match desk {
                Desk::Host(host) => host.get(&format!("conversations/{id}")).await,
                Desk::Rest(rest) => conversations::show(&rest.store, &id).await,
            }?;
            Ok(if view.json { View::json(&shown) } else { details(&shown, view) })
        }
        Conversations::Takeover { id, sender, minutes } => {
            let id = conversations::conversation_id(id)?.to_string();
            let asked = TakeOver { sender: Some(sender.clone()), minutes: *minutes };
            let actor = admin::at_the_command_line();
            let taken = match desk {
                Desk::Host(host) => host.post(&format!("conversations/{id}/takeover"), &asked).await,
                Desk::Rest(rest) => takeover::take_over(&rest.store, &actor, &id, sender, *minutes).await,
            }?;
            Ok(if view.json { View::json(&taken) } else { told_taken(&taken, view) })
        }
        Conversations::Release { id, sender } => {
            let id = conversations::conversation_id(id)?.to_string();
            let asked = Release { sender: sender.clone() };
            let actor = admin::at_the_command_line();
            let released = match desk {
                Desk::Host(host) => host.post(&format!("conversations/{id}/release"), &asked).await,
                Desk::Rest(rest) => takeover::release(&rest.store, &actor, &id, sender.as_deref()).await,
            }?;
            let told = "nobody has it: the agent answers from the next message on\n";
            Ok(if view.json { View::json(&released) } else { told.into() })
        }
    }
}

async fn list(filters: &Filters, desk: &Desk, view: &View) -> Result<String> {
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("conversations?{query}")).await,
        Desk::Rest(rest) => conversations::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { table(&page, filters, view) })
}

fn table(page: &Value, filters: &Filters, view: &View) -> String {
    let rows = items(page, "conversations");
    if rows.is_empty() {
        let all = view.command("conversations list");
        let narrowed = format!("no conversations like that; all of them: {all}\n");
        let none = "no conversations yet: the first message from a platform or a web page makes one\n";
        return if filters.narrow() { narrowed } else { none.into() };
    }
    let columns = [
        ("ID", Fit::Whole),
        ("PLUGIN", Fit::Cut),
        ("ACTIVE", Fit::Whole),
        ("USER", Fit::Cut),
        ("TAKEN", Fit::Cut),
        ("EXTERNAL ID", Fit::Spare),
        ("PLATFORM", Fit::Optional),
    ];
    let (mut table, now) = (Table::new(&columns, ""), clock::now());
    for row in rows {
        let cells = [
            field(row, "id").into(),
            field(row, "plugin").into(),
            ago::age(&field(row, "last_activity"), now).into(),
            field(&row["user"], "name").into(),
            Shown::toned(&taken(row, now), Tone::Busy),
            field(row, "external_id").into(),
            field(row, "platform").into(),
        ];
        table.row(cells, "");
    }
    table.render(view) + &view.more("conversations list", filters, page)
}

/// `by ada, 12m more`; empty where nobody has it.
fn taken(row: &Value, now: Micros) -> String {
    let by = field(row, "taken_by");
    if by.is_empty() {
        return by;
    }
    let left = ago::ahead(&field(row, "taken_until"), now);
    left.map_or_else(|| format!("by {by}"), |left| format!("by {by}, ends {left}"))
}

fn details(shown: &Value, view: &View) -> String {
    let now = clock::now();
    let state = match field(shown, "taken_by") {
        by if by.is_empty() => "open: the agent answers, if a route says so".to_owned(),
        by => match field(shown, "taken_until") {
            until if until.is_empty() => format!("taken by {by}, until it is released"),
            until => format!("taken by {by}, until {}", ago::long(&until, now)),
        },
    };
    pairs(
        &[
            ("id", field(shown, "id")),
            ("plugin", field(shown, "plugin")),
            ("platform", field(shown, "platform")),
            ("external id", field(shown, "external_id")),
            ("room", field(shown, "room_id")),
            ("user", field(&shown["user"], "name")),
            ("user id", field(&shown["user"], "id")),
            ("platform id", field(&shown["user"], "platform_user_id")),
            ("state", state),
            ("messages", format!("{} from the platform, {} to it", shown["message_count"], shown["response_count"])),
            ("created", ago::long(&field(shown, "created_at"), now)),
            ("active", ago::long(&field(shown, "last_activity"), now)),
        ],
        view,
    )
}

fn told_taken(taken: &Value, view: &View) -> String {
    let until = match field(taken, "taken_until") {
        until if until.is_empty() => "until it is released".to_owned(),
        until => format!("until {}", ago::long(&until, clock::now())),
    };
    let by = super::harmless::line(&field(taken, "taken_by"));
    let back = view.command(&format!("conversations release {}", field(taken, "id")));
    format!("taken by {by}, {until}\ngive it back: {back}\n")
}
