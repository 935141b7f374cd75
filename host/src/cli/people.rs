//! `arcuate users`: who wrote, one person out of two, and two out of one.

use super::ago;
use super::harmless::line;
use super::people_args::Users;
use super::person_data;
use super::session::Desk;
use super::table::{Fit, Table, pairs};
use super::view::{Filters, View, counted, field, items};
use crate::admin;
use crate::admin::users::{self, MergeInto, SplitOff, user_id};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::Params;
use serde_json::Value;

pub(super) async fn run(command: &Users, desk: &Desk, view: &View) -> Result<String> {
    match command {
        Users::List { page } => list(&Filters::new(page), desk, view).await,
        Users::Show { id } => show(id, desk, view).await,
        Users::Merge { id, into } => merge(id, into, desk, view).await,
        Users::Split { id, profile } => split(id, profile.as_deref(), desk, view).await,
        Users::Export { id, output } => person_data::export(id, output.as_deref(), desk, view).await,
        Users::Forget { id, yes } => person_data::forget(id, *yes, desk, view).await,
    }
}

async fn list(filters: &Filters, desk: &Desk, view: &View) -> Result<String> {
    let query = filters.query();
    let page = match desk {
        Desk::Host(host) => host.get(&format!("users?{query}")).await,
        Desk::Rest(rest) => users::list(&rest.store, &Params::parse(&query)?).await,
    }?;
    Ok(if view.json { View::json(&page) } else { users_table(&page, filters, view) })
}

pub(super) async fn find(id: &str, desk: &Desk) -> Result<Value> {
    match desk {
        // What is no id is nobody's path either.
        Desk::Host(host) => host.get(&format!("users/{}", user_id(id)?)).await,
        Desk::Rest(rest) => users::show(&rest.store, id).await,
    }
}

async fn show(id: &str, desk: &Desk, view: &View) -> Result<String> {
    let person = find(id, desk).await?;
    if view.json {
        return Ok(View::json(&person));
    }
    let led = field(&person, "id") != user_id(id)?.to_string();
    let note = if led { format!("{id} was merged into this person:\n") } else { String::new() };
    let conversations = view.command(&format!("conversations list --user {}", field(&person, "id")));
    Ok(note + &details(&person, view) + &format!("\nconversations: {conversations}\n"))
}

async fn merge(id: &str, into: &str, desk: &Desk, view: &View) -> Result<String> {
    let (id, into) = (user_id(id)?.to_string(), user_id(into)?.to_string());
    let merged = match desk {
        Desk::Host(host) => host.post(&format!("users/{id}/merge"), &MergeInto { into }).await,
        Desk::Rest(rest) => users::merge(&rest.store, &admin::at_the_command_line(), &id, &into).await,
    }?;
    if view.json {
        return Ok(View::json(&merged));
    }
    let (user, profiles) = (&merged["user"], counted(merged["profiles"].as_u64().unwrap_or_default(), "profile"));
    let undo = view.command(&format!("users split {id}"));
    Ok(format!("{profiles} moved\n{}\nundo: {undo}\n", details(user, view)))
}

async fn split(id: &str, profile: Option<&str>, desk: &Desk, view: &View) -> Result<String> {
    let id = user_id(id)?.to_string();
    let off = match profile.map(|profile| profile.split_once(':')) {
        None => SplitOff::default(),
        Some(Some((platform, user))) => {
            SplitOff { platform: Some(platform.into()), platform_user_id: Some(user.into()) }
        }
        Some(None) => {
            return Err(Error::Invalid("a profile is named PLATFORM:USER_ID, as `users list` shows it".into()));
        }
    };
    let split = match desk {
        Desk::Host(host) => host.post(&format!("users/{id}/split"), &off).await,
        Desk::Rest(rest) => users::split(&rest.store, &admin::at_the_command_line(), &id, &off).await,
    }?;
    if view.json {
        return Ok(View::json(&split));
    }
    let people: Vec<_> = items(&split, "users").iter().map(|user| format!("\n{}", details(user, view))).collect();
    let profiles = counted(split["profiles"].as_u64().unwrap_or_default(), "profile");
    Ok(format!("{profiles} moved\n{}", people.concat()))
}

/// A person with all profiles.
pub(super) fn details(person: &Value, view: &View) -> String {
    let now = clock::now();
    let merged: Vec<_> = items(person, "merged")
        .iter()
        .map(|one| format!("{} ({})", field(one, "id"), line(&field(one, "name"))))
        .collect();
    let told = pairs(
        &[
            ("id", field(person, "id")),
            ("name", field(person, "name")),
            ("created", ago::long(&field(person, "created_at"), now)),
            ("merged", merged.join(", ")),
        ],
        view,
    );
    let columns =
        [("PROFILE", Fit::Whole), ("SEEN", Fit::Whole), ("DISPLAY NAME", Fit::Cut), ("USERNAME", Fit::Optional)];
    let mut table = Table::new(&columns, "");
    for row in items(person, "profiles") {
        let cells = [
            profile(row).into(),
            ago::age(&field(row, "last_seen"), now).into(),
            field(row, "display_name").into(),
            field(row, "username").into(),
        ];
        table.row(cells, "");
    }
    format!("{told}\n{}", table.render(view))
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
