//! What is known of one person, for those who ask what that is and for those who want it gone: an export, written while it is read, and a
//! deletion in small steps.

use super::users::{person_row, user_id};
use super::{Operator, person_letters};
use crate::clock;
use crate::clock::pause_after;
use crate::error::{Error, Result};
use crate::http::Path;
use crate::ids::UserId;
use crate::state::{App, undisturbed};
use crate::store::{
    Actor, Deed, ExportedConversation, ExportedDelivery, ExportedMessage, FileRow, Forgotten, PersonRow, Store, Tx, hex,
};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// As it is called in the record of deeds.
const FORGET: &str = "users.forget";
/// Conversations that are looked up at once.
const CONVERSATIONS: u32 = 100;
/// How long one request to forget somebody works at it. Whoever asks asks again until it is done.
const WORKS: Duration = Duration::from_secs(2);

/// What a deletion cannot reach, in words.
const NOT_COVERED: [&str; 5] = [
    "agents' memory of their own, such as identities and blocks at a Letta server: the host cannot reach into it",
    "values that plugins keep for themselves, by the person's id",
    "copies elsewhere: earlier backups, logs, what webhooks delivered, and bodies of such deliveries in the queue until [queue] keep_completed_days",
    "words of others that mention the person",
    "rows that could not be read at all, so that nobody can tell whose they are: `arcuate queue list --kind ingest` shows what is left",
];

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(export_user)).routes(routes!(forget_user))
}

/// How far a deletion has come.
#[derive(Debug, Serialize, ToSchema)]
struct ForgetProgress {
    id: UserId,
    /// False: ask again, there is more.
    done: bool,
    /// What this request removed.
    removed: Removed,
    /// What has to be removed elsewhere.
    not_covered: [&'static str; NOT_COVERED.len()],
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
struct Removed {
    /// Those that were theirs alone, with all that was in them.
    conversations: i64,
    /// Theirs, and the agents' answers.
    messages: i64,
    files: usize,
    profiles: i64,
}

/// Export what is known of a person
///
/// One JSON object a line, each with its `kind`: `person`, `profile`, `conversation`, `message`, `file`, `job`, and `end` with the counts;
/// without that last line the export is not whole. Of conversations with several people only what the person wrote, and the answers to it.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}/export", tag = "Administration", security(("admin_token" = [])),
    params(("id" = String, Path, description = "The person's id")),
    responses((status = 200, description = "JSON lines", content((String = "application/x-ndjson"))),
              (status = 404, description = "Nobody has this id")))]
async fn export_user(operator: Operator, State(app): State<App>, Path(id): Path<String>) -> Result<Response> {
    let lines = export(&app.store, &operator.actor, &id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"person.jsonl\""),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// Forget a person
///
/// Removes profiles, the conversations that are theirs alone, and their messages elsewhere with the answers to them. Works for a while; where
/// `done` is false, ask again. The keys of what they wrote stay, so that nothing comes in a second time.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/forget", tag = "Administration", security(("admin_token" = [])),
    params(("id" = String, Path, description = "The person's id")),
    responses((status = 200, body = ForgetProgress), (status = 404, description = "Nobody has this id"),
              (status = 409, description = "They were merged into somebody else")))]
async fn forget_user(operator: Operator, State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>> {
    undisturbed(async move { forget(&app.store, &operator.actor, &id).await }).await.map(Json)
}

/// See the route. One call works for a few seconds at most.
pub async fn forget(store: &Store, actor: &Actor, id: &str) -> Result<Value> {
    store.recorded(actor, FORGET, id, forget_for_a_while(store, actor, id)).await
}

async fn forget_for_a_while(store: &Store, actor: &Actor, id: &str) -> Result<Value> {
    let id = user_id(id)?;
    let row = person_row(store, id).await?;
    if row.user.id != id {
        let into = row.user.id;
        let why = format!("{id} was merged into {into}; forget that one, or split it first");
        return Err(Error::Conflict(why));
    }
    let user = row.user.key;
    person_letters::forget(store, user).await?;
    let begun = Instant::now();
    let mut record = Forgetting::of(store, actor, id).await?;
    let (mut removed, mut done) = (Removed::default(), false);
    while !done && begun.elapsed() <= WORKS {
        let (step, told) = (Instant::now(), record.clone());
        let forget = move |tx: &mut Tx<'_>| {
            let step = tx.forget_some(user)?;
            let told = Forgetting { removed: told.removed.and(&step), ..told.clone() };
            let row = tx.audit_step(told.row, &told.deed(step.done))?;
            Ok((step, Forgetting { row: Some(row), ..told }))
        };
        let (forgotten, after) = store.write_patiently(forget).await?;
        (record, removed, done) = (after, removed.and(&forgotten), forgotten.done);
        if !forgotten.hashes.is_empty() {
            store.unlink_unreferenced(forgotten.hashes).await;
        }
        if !done {
            pause_after(step).await;
        }
    }
    Ok(json!(ForgetProgress { id, done, removed, not_covered: NOT_COVERED }))
}

/// The one row of a deletion in the record of deeds, also where it takes several requests: after each step it says what has gone so far.
#[derive(Clone)]
struct Forgetting {
    actor: Actor,
    id: UserId,
    row: Option<i64>,
    removed: Removed,
}

impl Forgetting {
    async fn of(store: &Store, actor: &Actor, id: UserId) -> Result<Self> {
        let (by, subject) = (actor.clone(), id.to_string());
        let begun = store.read(move |read| read.unfinished_deed(&by, FORGET, &subject)).await?;
        let (row, detail) = begun.unzip();
        let removed = detail.and_then(|mut detail| serde_json::from_value(detail["removed"].take()).ok());
        Ok(Self { actor: actor.clone(), id, row, removed: removed.unwrap_or_default() })
    }

    fn deed(&self, done: bool) -> Deed {
        let deed = Deed::done(&self.actor, FORGET, self.id.to_string(), json!({ "removed": self.removed }));
        if done { deed } else { deed.unfinished() }
    }
}

impl Removed {
    fn and(self, step: &Forgotten) -> Self {
        Self {
            conversations: self.conversations + step.conversations,
            messages: self.messages + step.messages,
            files: self.files + step.hashes.len(),
            profiles: self.profiles + step.profiles,
        }
    }
}

/// The lines of an export, in pieces.
pub async fn export(
    store: &Store,
    actor: &Actor,
    id: &str,
) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
    let begin = async {
        let person = person_row(store, user_id(id)?).await?;
        let deed = Deed::done(actor, "users.export", person.user.id.to_string(), json!({}));
        store.write(move |tx| tx.audit(&deed)).await?;
        Ok(person)
    };
    let person = store.recorded(actor, "users.export", id, begin).await?;
    let export = Export {
        store: store.clone(),
        user: person.user.key,
        pending: VecDeque::new(),
        after: 0,
        lanes: BTreeSet::new(),
        counts: Counts::default(),
        step: Step::Begin(Box::new(person)),
    };
    let pieces = futures_util::stream::unfold(export, |mut export| async move {
        let piece = export.piece().await?;
        if let Err(error) = &piece {
            tracing::warn!("an export of a person was broken off: {error}");
            export.step = Step::Over;
        }
        Some((piece.map(Bytes::from), export))
    });
    // Whoever packs it may ask once more at its end.
    Ok(pieces.fuse())
}

/// An export under way.
struct Export {
    store: Store,
    user: i64,
    pending: VecDeque<ExportedConversation>,
    /// The last conversation that was looked up.
    after: i64,
    /// Where the jobs of those conversations are.
    lanes: BTreeSet<String>,
    counts: Counts,
    step: Step,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Counts {
    conversations: usize,
    messages: usize,
    files: usize,
    jobs: usize,
}

enum Step {
    Begin(Box<PersonRow>),
    Conversations,
    Messages(ExportedConversation, i64),
    Files(ExportedConversation, i64),
    Jobs(i64),
    Letters(i64),
    End,
    Over,
}

impl Export {
    /// The next lines; None behind the last.
    async fn piece(&mut self) -> Option<Result<Vec<u8>>> {
        loop {
            let step = std::mem::replace(&mut self.step, Step::Over);
            let lines = match step {
                Step::Begin(person) => {
                    self.step = Step::Conversations;
                    Ok(begin(&person))
                }
                Step::Conversations => self.conversation().await,
                Step::Messages(conversation, after) => self.messages(conversation, after).await,
                Step::Files(conversation, before) => self.files(conversation, before).await,
                Step::Jobs(after) => self.jobs(after).await,
                Step::Letters(after) => self.letters(after).await,
                Step::End => Ok(vec![line("end", json!(self.counts))]),
                Step::Over => return None,
            };
            match lines {
                // A piece of nothing would say that this is the end.
                Ok(lines) if lines.is_empty() => {}
                lines => return Some(lines.map(|lines| lines.concat().into_bytes())),
            }
        }
    }

    async fn conversation(&mut self) -> Result<Vec<String>> {
        if self.pending.is_empty() {
            let (user, after) = (self.user, self.after);
            let page = self.store.read(move |read| read.export_conversations(user, after, CONVERSATIONS)).await?;
            self.after = page.last().map_or(after, |last| last.key);
            self.pending = page.into();
        }
        let Some(conversation) = self.pending.pop_front() else {
            self.step = Step::Jobs(0);
            return Ok(Vec::new());
        };
        self.counts.conversations += 1;
        self.lanes.insert(conversation.id.to_string());
        let shown = line("conversation", conversation_fields(&conversation));
        self.step = Step::Messages(conversation, 0);
        Ok(vec![shown])
    }

    async fn messages(&mut self, conversation: ExportedConversation, after: i64) -> Result<Vec<String>> {
        let (user, place) = (self.user, conversation.clone());
        let (messages, next) = self.store.read(move |read| read.export_messages(user, &place, after)).await?;
        self.counts.messages += messages.len();
        let id = conversation.id;
        self.step = match next {
            Some(next) => Step::Messages(conversation, next),
            None => Step::Files(conversation, i64::MAX),
        };
        let shown = |message: &ExportedMessage| {
            let content: Value = serde_json::from_str(&message.json).unwrap_or_default();
            line("message", json!({ "conversation_id": id, "own": message.is_own, "message": content }))
        };
        Ok(messages.iter().map(shown).collect())
    }

    async fn files(&mut self, conversation: ExportedConversation, before: i64) -> Result<Vec<String>> {
        let (user, room) = (self.user, conversation.room);
        let (files, next) = self.store.read(move |read| read.export_files(user, room, before)).await?;
        self.counts.files += files.len();
        self.step = next.map_or(Step::Conversations, |next| Step::Files(conversation, next));
        Ok(files.iter().map(|file| line("file", file_fields(file))).collect())
    }

    async fn jobs(&mut self, after: i64) -> Result<Vec<String>> {
        let lanes = std::mem::take(&mut self.lanes);
        let read = self.store.read(move |read| Ok((read.export_deliveries(&lanes, after)?, lanes)));
        let ((jobs, next), lanes) = read.await?;
        self.lanes = lanes;
        self.counts.jobs += jobs.len();
        self.step = next.map_or(Step::Letters(0), Step::Jobs);
        Ok(jobs.iter().map(|job| line("job", job_fields(job))).collect())
    }

    /// What could not be taken and names them.
    async fn letters(&mut self, after: i64) -> Result<Vec<String>> {
        let (letters, next) = person_letters::page(&self.store, self.user, after).await?;
        self.counts.jobs += letters.len();
        self.step = next.map_or(Step::End, Step::Letters);
        Ok(letters.iter().map(|letter| line("job", person_letters::fields(letter))).collect())
    }
}

fn line(kind: &str, fields: Value) -> String {
    let mut object = json!({ "kind": kind });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    format!("{object}\n")
}

fn begin(person: &PersonRow) -> Vec<String> {
    let PersonRow { user, merged } = person;
    let merged: Vec<Value> = merged.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    let head = json!({
        "id": user.id,
        "name": user.name,
        "created_at": clock::format(user.created_at),
        "merged": merged,
        "exported_at": clock::format(clock::now()),
    });
    let profiles = user.profiles.iter().map(|profile| {
        let fields = json!({
            "platform": profile.platform,
            "platform_user_id": profile.platform_user_id,
            "username": profile.username,
            "display_name": profile.display_name,
            "first_seen": clock::format(profile.first_seen),
            "last_seen": clock::format(profile.last_seen),
        });
        line("profile", fields)
    });
    std::iter::once(line("person", head)).chain(profiles).collect()
}

fn conversation_fields(conversation: &ExportedConversation) -> Value {
    json!({
        "id": conversation.id,
        "room_id": conversation.room_id,
        "plugin": conversation.instance,
        "platform": conversation.platform,
        "external_id": conversation.external_id,
        "ip_address": conversation.ip_address,
        "created_at": clock::format(conversation.created_at),
        "last_activity": clock::format(conversation.last_active),
        "theirs_alone": conversation.is_alone,
    })
}

fn file_fields(file: &FileRow) -> Value {
    json!({
        "id": file.id,
        "room_id": file.room_id,
        "sender": file.sender,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.size,
        "sha256": hex(&file.hash),
        "created_at": clock::format(file.created_at),
        "content": format!("/api/v1/files/{}", file.id),
    })
}

fn job_fields(job: &ExportedDelivery) -> Value {
    json!({
        "id": job.id,
        "work": job.kind,
        "state": job.state,
        "plugin": job.instance,
        "message_seq": job.cause,
        "attempts": job.attempts,
        "last_error": job.last_error,
        "created_at": clock::format(job.created_at),
        "finished_at": job.finished_at.map(clock::format),
    })
}
