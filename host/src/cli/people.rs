//! `arcuate users` and `arcuate conversations`: who wrote, and where.

use super::ago;
use super::args::{Conversations, Users};
use super::session::Desk;
use super::table::{Fit, Table};
use super::view::{Filters, View, field, items};
use crate::admin;
use crate::bridge::conversations;
use crate::clock;
use crate::error::Result;
use crate::http::Params;
use serde_json::Value;

pub(super) async fn conversations(command: &Conversations, desk: &Desk, view: &View) -> Result<String> {
    let Conversations::List { platform, user, page } = command;
    let filters = Filters::new(page).and("platform", platform.as_ref()).and("user", user.as_ref());
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("conversations?{query}")).await,
        Desk::Rest(rest) => conversations::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { conversations_table(&page, &filters, view) })
}

fn conversations_table(page: &Value, filters: &Filters, view: &View) -> String {
    let rows = items(page, "conversations");
    if rows.is_empty() {
        let all = view.command("conversations list");
        let narrowed = format!("no conversations like that; all of them: {all}\n");
        let none = "no conversations yet: the first message from a platform or a web page makes one\n";
        return if filters.narrow() { narrowed } else { none.into() };
    }
    let columns = [
        ("ID", Fit::Whole),
        ("PLUGIN", Fit::Whole),
        ("ACTIVE", Fit::Whole),
        ("USER", Fit::Cut),
        ("EXTERNAL ID", Fit::Cut),
        ("PLATFORM", Fit::Optional),
    ];
    let (mut table, now) = (Table::new(&columns, ""), clock::now());
    for row in rows {
        let cells = [
            field(row, "id").into(),
            field(row, "plugin").into(),
            ago::age(&field(row, "last_activity"), now).into(),
            field(&row["user"], "name").into(),
            field(row, "external_id").into(),
            field(row, "platform").into(),
        ];
        table.row(cells, "");
    }
    table.render(view) + &view.more("conversations list", filters, page)
}

pub(super) async fn users(command: &Users, desk: &Desk, view: &View) -> Result<String> {
    let Users::List { page } = command;
    let filters = Filters::new(page);
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("users?{query}")).await,
        Desk::Rest(rest) => admin::users::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { users_table(&page, &filters, view) })
}

fn users_table(page: &Value, filters: &Filters, view: &View) -> String {
    let rows = items(page, "users");
    if rows.is_empty() {
        let none = "nobody yet: the first message from a platform or a web page makes a user\n";
        return if filters.narrow() { "nobody else\n".into() } else { none.into() };
    }
    let columns = [("ID", Fit::Whole), ("SEEN", Fit::Whole), ("NAME", Fit::Cut), ("PROFILES", Fit::Cut)];
    let (mut table, now) = (Table::new(&columns, ""), clock::now());
    for row in rows {
        let profiles = items(row, "profiles");
        // Times of one form compare as texts.
        let seen = profiles.iter().map(|profile| field(profile, "last_seen")).max().unwrap_or_default();
        let names: Vec<_> = profiles.iter().map(profile).collect();
        let cells =
            [field(row, "id").into(), ago::age(&seen, now).into(), field(row, "name").into(), names.join(", ").into()];
        table.row(cells, "");
    }
    table.render(view) + &view.more("users list", filters, page)
}

/// `web_chat:0123456789abcdef`
fn profile(profile: &Value) -> String {
    format!("{}:{}", field(profile, "platform"), field(profile, "platform_user_id"))
}
