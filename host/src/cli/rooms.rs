//! `arcuate rooms`: which there are, and a new key for one whose key was lost.

use super::ago;
use super::args::{Page, Rooms};
use super::session::Desk;
use super::table::{Fit, Table};
use super::view::{Filters, View, field, items};
use crate::admin;
use crate::clock;
use crate::error::Result;
use crate::http::Params;
use serde_json::Value;

pub(super) async fn run(command: &Rooms, desk: &Desk, view: &View) -> Result<String> {
    match command {
        Rooms::List { page } => list(page, desk, view).await,
        Rooms::RotateKey { name } => rotate_key(name, desk, view).await,
    }
}

async fn list(page: &Page, desk: &Desk, view: &View) -> Result<String> {
    let filters = Filters::new(page);
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("rooms?{query}")).await,
        Desk::Rest(rest) => admin::rooms::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { table(&page, &filters, view) })
}

fn table(page: &Value, filters: &Filters, view: &View) -> String {
    let rows = items(page, "rooms");
    if rows.is_empty() {
        return if filters.narrow() { "no other rooms\n".into() } else { "no rooms yet\n".into() };
    }
    let columns = [
        ("NAME", Fit::Cut),
        ("MESSAGES", Fit::Whole),
        ("ACTIVE", Fit::Whole),
        ("ARCHIVED", Fit::Optional),
        ("CREATED BY", Fit::Optional),
        ("ID", Fit::Whole),
    ];
    let (mut table, now) = (Table::new(&columns, ""), clock::now());
    for row in rows {
        let cells = [
            field(row, "name").into(),
            field(row, "message_count").into(),
            ago::age(&field(row, "last_activity"), now).into(),
            ago::age(&field(row, "archived_at"), now).into(),
            field(row, "created_by").into(),
            field(row, "id").into(),
        ];
        table.row(cells, "");
    }
    table.render(view) + &view.more("rooms list", filters, page)
}

async fn rotate_key(name: &str, desk: &Desk, view: &View) -> Result<String> {
    let named = admin::rooms::Named { name: name.into() };
    let rotated = match desk {
        Desk::Host(host) => host.post("rooms/rotate-key", &named).await,
        Desk::Rest(rest) => admin::rooms::rotate_key(&rest.store, &admin::at_the_command_line(), named.name).await,
    }?;
    let told =
        || format!("{}\nThis is the room's only key now, and it is not shown again.\n", field(&rotated, "admin_key"));
    Ok(if view.json { View::json(&rotated) } else { told() })
}
