//! `arcuate audit`: what operators did.

use super::ago;
use super::session::Desk;
use super::table::{Fit, Shown, Table, Tone};
use super::view::{Filters, View, field, items};
use super::watching_args::Audit;
use crate::admin::audit;
use crate::clock;
use crate::error::Result;
use crate::http::Params;
use serde_json::Value;

pub(super) async fn run(command: &Audit, desk: &Desk, view: &View) -> Result<String> {
    let Audit::List { action, page } = command;
    let filters = Filters::new(page).and("action", action.as_ref());
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("audit?{query}")).await,
        Desk::Rest(rest) => audit::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { table(&page, &filters, view) })
}

fn table(page: &Value, filters: &Filters, view: &View) -> String {
    let rows = items(page, "deeds");
    if rows.is_empty() {
        let none = if filters.narrow() { "no deeds match" } else { "no operator has done anything yet" };
        return format!("{none}\n");
    }
    let columns = [
        ("WHEN", Fit::Whole),
        ("ACTION", Fit::Whole),
        ("SUBJECT", Fit::Cut),
        ("OUTCOME", Fit::Whole),
        ("WHO", Fit::Optional),
        ("FROM", Fit::Optional),
    ];
    let (mut table, now) = (Table::new(&columns, "DETAIL"), clock::now());
    for row in rows {
        let outcome = field(row, "outcome");
        let tone = if outcome == "done" { Tone::Plain } else { Tone::Bad };
        let cells = [
            ago::age(&field(row, "at"), now).into(),
            field(row, "action").into(),
            field(row, "subject").into(),
            Shown::toned(&outcome, tone),
            field(row, "actor").into(),
            field(row, "origin").into(),
        ];
        table.row(cells, &detail(&row["detail"]));
    }
    table.render(view) + &view.more("audit list", filters, page)
}

/// Of a refusal the reason alone; else what the deed says, and nothing of what it leaves empty.
fn detail(detail: &Value) -> String {
    let Value::Object(fields) = detail else { return String::new() };
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let told = fields.iter().filter(|(_, value)| !is_empty(value));
    let told = told.map(|(name, _)| match name.as_str() {
        "error" => field(detail, name),
        name => format!("{name} {}", field(detail, name)),
    });
    told.collect::<Vec<_>>().join(", ")
}
