//! `arcuate tokens`: whom token mode lets in.

use super::ago;
use super::args::{Page, Tokens};
use super::harmless::line;
use super::session::Desk;
use super::table::{Fit, Table};
use super::view::{Filters, View, encoded, field, items};
use crate::admin::at_the_command_line;
use crate::admin::tokens::{self, NewToken};
use crate::clock;
use crate::error::Result;
use crate::http::Params;
use serde_json::Value;

pub(super) async fn run(command: &Tokens, desk: &Desk, view: &View) -> Result<String> {
    match command {
        Tokens::Create { name, scopes } => create(name, scopes, desk, view).await,
        Tokens::List { page } => list(page, desk, view).await,
        Tokens::Revoke { name } => revoke(name, desk, view).await,
    }
}

/// For people the token stands on a line of its own, so that it can be taken whole.
async fn create(name: &str, scopes: &[String], desk: &Desk, view: &View) -> Result<String> {
    let new = NewToken { name: name.into(), scopes: scopes.to_vec() };
    let made = match desk {
        Desk::Host(host) => host.post("tokens", &new).await,
        Desk::Rest(rest) => tokens::create(&rest.store, None, &at_the_command_line(), &new).await,
    }?;
    if view.json {
        return Ok(View::json(&made));
    }
    let (name, scopes) = (line(&field(&made, "name")), scopes_of(&made));
    Ok(format!("{}\nfor {name}, with {scopes}; it is not shown again\n", field(&made, "token")))
}

async fn list(page: &Page, desk: &Desk, view: &View) -> Result<String> {
    let filters = Filters::new(page);
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("tokens?{query}")).await,
        Desk::Rest(rest) => tokens::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { table(&page, &filters, view) })
}

fn table(page: &Value, filters: &Filters, view: &View) -> String {
    let rows = items(page, "tokens");
    if rows.is_empty() {
        let first = view.command("tokens create NAME --scope write");
        return if filters.narrow() { "no more tokens\n".into() } else { format!("no tokens yet: {first}\n") };
    }
    let columns = [("NAME", Fit::Cut), ("SCOPES", Fit::Whole), ("MADE", Fit::Whole)];
    let (mut table, now) = (Table::new(&columns, ""), clock::now());
    for row in rows {
        let made = ago::age(&field(row, "created_at"), now);
        table.row([field(row, "name").into(), scopes_of(row).into(), made.into()], "");
    }
    table.render(view) + &view.more("tokens list", filters, page)
}

async fn revoke(name: &str, desk: &Desk, view: &View) -> Result<String> {
    let done = match desk {
        Desk::Host(host) => host.delete(&format!("tokens/{}", encoded(name))).await,
        Desk::Rest(rest) => tokens::revoke(&rest.store, None, &at_the_command_line(), name).await,
    }?;
    Ok(if view.json { View::json(&done) } else { format!("{} is revoked\n", line(&field(&done, "name"))) })
}

fn scopes_of(token: &Value) -> String {
    items(token, "scopes").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}
