//! Files of rooms: who uploaded what. Their bytes are in `blobs.rs`; several files may share them.

use super::blobs::Hash;
use super::counts::Count;
use super::rooms::{RoomRef, Viewer, numbered};
use super::{Kind, Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::{Error, Result};
use crate::ids::{FileId, RoomId};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::json;

/// A file whose bytes are in their place.
#[derive(Debug, Clone)]
pub struct NewFile {
    pub sender: String,
    pub filename: String,
    pub content_type: String,
    pub size: u64,
    pub hash: Hash,
}

/// A file as its row has it.
#[derive(Debug, Clone)]
pub struct FileRow {
    /// Number of the event of its upload, which lists go by.
    pub event: i64,
    pub id: FileId,
    pub room_id: RoomId,
    pub sender: String,
    pub filename: String,
    pub content_type: String,
    pub size: u64,
    pub hash: Hash,
    pub created_at: Micros,
}

pub(super) const COLUMNS: &str =
    "select f.event, f.id, r.id, f.sender, f.filename, f.content_type, f.size, f.hash, f.created_at
     from files f join rooms r on r.key = f.room";

impl Tx<'_> {
    /// `event` gives the payload of its event.
    pub fn add_file(
        &mut self,
        room: RoomId,
        viewer: &Viewer,
        file: &NewFile,
        event: impl Fn(&FileRow) -> String,
    ) -> Result<FileRow> {
        let room = self.visible_room(room, viewer)?;
        let NewFile { sender, filename, content_type, size, hash } = file.clone();
        let (id, room_id, created_at) = (FileId::new(), room.id, self.stamp());
        let mut row = FileRow { event: 0, id, room_id, sender, filename, content_type, size, hash, created_at };
        row.event = self.record(Some(room.key), Kind::FileUploaded, |seq| numbered(event(&row), seq))?;
        self.execute(
            "insert into files (event, id, room, sender, filename, content_type, size, hash, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                row.event,
                id.bytes(),
                room.key,
                row.sender,
                row.filename,
                row.content_type,
                size as i64,
                hash,
                created_at
            ],
        )?;
        self.tally(Count::Files, 1);
        self.tally(Count::FileBytes, size as i64);
        Ok(row)
    }

    /// `sender` None: with the room's key. Answers the content, to be unlinked after the commit unless others have it.
    pub fn delete_file(&mut self, room: &RoomRef, id: FileId, sender: Option<&str>) -> Result<Hash> {
        let row = self.read().file(id)?.filter(|row| row.room_id == room.id).ok_or_else(unknown_file)?;
        if sender.is_some_and(|sender| sender != row.sender) {
            return Err(Error::Forbidden("Only the original uploader can delete this file".into()));
        }
        self.execute("delete from files where event = ?1", [row.event])?;
        self.tally(Count::Files, -1);
        self.tally(Count::FileBytes, -(row.size as i64));
        self.record(Some(room.key), Kind::FileDeleted, |seq| {
            json!({ "id": id, "room_id": room.id, "seq": seq }).to_string()
        })?;
        Ok(row.hash)
    }
}

impl Read<'_> {
    /// The file, if the viewer may see its room; else it is as if it were not there.
    pub fn visible_file(&self, id: FileId, viewer: &Viewer) -> Result<FileRow> {
        let row = self.file(id)?.ok_or_else(unknown_file)?;
        self.visible_room(row.room_id, viewer).map_err(|error| match error {
            Error::NotFound(_) => unknown_file(),
            other => other,
        })?;
        Ok(row)
    }

    /// A room's files before the event numbered `before`, newest first.
    pub fn files(&self, room: i64, before: i64, limit: u32) -> Result<Vec<FileRow>> {
        let sql = format!("{COLUMNS} where f.room = ?1 and f.event < ?2 order by f.event desc limit ?3");
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(params![room, before, limit], file_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// Whether a file has this content.
    pub(super) fn has_content(&self, hash: &Hash) -> Result<bool> {
        Ok(self.number("select exists (select 1 from files where hash = ?1)", [hash])? == 1)
    }

    fn file(&self, id: FileId) -> Result<Option<FileRow>> {
        let mut statement = self.prepare(&format!("{COLUMNS} where f.id = ?1"))?;
        statement.query_row([id.bytes()], file_row).optional().map_err(sql_error)
    }
}

pub(super) fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        event: row.get(0)?,
        id: FileId::from_bytes(row.get(1)?),
        room_id: RoomId::from_bytes(row.get(2)?),
        sender: row.get(3)?,
        filename: row.get(4)?,
        content_type: row.get(5)?,
        size: row.get::<_, i64>(6)? as u64,
        hash: row.get(7)?,
        created_at: row.get(8)?,
    })
}

fn unknown_file() -> Error {
    Error::NotFound("File not found".into())
}
