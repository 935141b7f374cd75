-- The whole chat: rooms that end, messages that change, and the counts that keep every list from scanning.

-- Room types: room | dm | bridge, and `deleted` while its rows are being removed.
alter table rooms add column archived_at integer;
alter table rooms add column max_messages integer;
alter table rooms add column max_message_age_hours integer;
create index rooms_deleted on rooms (key) where type = 'deleted';
create index rooms_retention on rooms (key) where max_messages is not null or max_message_age_hours is not null;
create index rooms_type on rooms (type);

-- A deleted room's rows go in small steps, the room last: nothing may look through all messages or responses for one that names it.
create index bridge_responses_conversation on bridge_responses (conversation);
pragma writable_schema = on;
update sqlite_schema set sql = replace(sql, 'room        integer not null references rooms (key)', 'room        integer not null')
    where name = 'messages';
pragma writable_schema = reset;

-- How far the log had come at the beginning of an hour since 1970, so that it can be trimmed by time.
create table log_hours (
    hour integer primary key,
    seq  integer not null
) strict;

-- A room's key is never given again, because the log still knows the old room.
create table room_keys (key integer primary key autoincrement) strict;
insert into room_keys (key) select coalesce(max(key), 0) from rooms;
delete from room_keys;

-- Who two people's direct messages are between, in the order of their names.
create table dms (
    room integer primary key references rooms (key) on delete cascade,
    low  text not null,
    high text not null,
    unique (low, high)
) strict;
create index dms_high on dms (high);

-- Events of a message beside its own, so that they can be emptied when it is deleted.
alter table events add column message integer;
create index events_message on events (message) where message is not null;

-- Messages of a room are numbered from 1 without gaps as they are written: of a span without deletions, the count is a difference.
alter table messages add column ordinal integer not null default 0;
create index messages_sender on messages (sender, seq);
alter table room_state add column last_ordinal integer not null default 0;
alter table room_state add column first_seq integer; -- of the oldest message that is there
update messages set ordinal = numbered.ordinal
    from (select seq, row_number() over (partition by room order by seq) as ordinal from messages) as numbered
    where numbered.seq = messages.seq;
update room_state set last_ordinal = message_count,
                      first_seq = (select min(m.seq) from events e join messages m on m.seq = e.seq
                                   where e.room = room_state.room and e.kind = 1);

-- Messages deleted in a block of 256 ordinals; a block without a row is whole.
create table message_gaps (
    room    integer not null,
    block   integer not null,
    deleted integer not null,
    primary key (room, block)
) strict, without rowid;

-- Who wrote in a room. The counts are of messages that are there. Listed by sorting: an index by time would move two more pages with
-- each message.
create table participants (
    room          integer not null,
    sender        text not null,
    sender_type   text,
    message_count integer not null,
    first_seen    integer not null,
    last_seen     integer not null,
    last_seq      integer not null,
    block         integer not null, -- of the newest message; its count is here, those of older blocks below
    block_count   integer not null,
    primary key (room, sender)
) strict, without rowid;

create table participant_blocks (
    room   integer not null,
    sender text not null,
    block  integer not null,
    count  integer not null,
    primary key (room, sender, block)
) strict, without rowid;

-- Everybody who ever wrote, for the counts of the last hour.
create table senders (
    sender      text primary key,
    sender_type text,
    last_seen   integer not null
) strict, without rowid;
create index senders_seen on senders (last_seen, sender_type);

-- Sums over the whole store, by name (store/counts.rs).
create table counts (
    name  text primary key,
    value integer not null
) strict, without rowid;

insert into participants (room, sender, sender_type, message_count, first_seen, last_seen, last_seq, block, block_count)
    select room, sender, max(sender_type), count(*), min(created_at), max(created_at), max(seq), max(ordinal) / 256, 0
    from messages group by room, sender;
insert into participant_blocks (room, sender, block, count)
    select room, sender, ordinal / 256, count(*) from messages group by 1, 2, 3;
update participants set block_count = b.count from participant_blocks as b
    where b.room = participants.room and b.sender = participants.sender and b.block = participants.block;
delete from participant_blocks
    where block = (select p.block from participants p where p.room = participant_blocks.room and p.sender = participant_blocks.sender);
insert into senders (sender, sender_type, last_seen) select sender, max(sender_type), max(created_at) from messages group by sender;
insert into counts (name, value)
    select 'messages', count(*) from messages
    union all select 'messages.agent', count(*) from messages where sender_type = 'agent'
    union all select 'messages.human', count(*) from messages where sender_type = 'human'
    union all select 'messages.replies', count(*) from messages where reply_to is not null
    union all select 'rooms', count(*) from rooms where type = 'room';

-- An @ in a message and what follows it, in small letters. `word` is the first word of that, which candidates are found by.
create table mentions (
    word text not null,
    seq  integer not null references messages (seq) on delete cascade,
    n    integer not null,          -- which @ of the message
    room integer not null,
    rest text not null,
    primary key (word, seq, n)
) strict, without rowid;
create index mentions_room on mentions (word, room, seq);
create index mentions_seq on mentions (seq);

create table pins (
    seq   integer primary key references messages (seq) on delete cascade,
    room  integer not null,
    event integer not null          -- newest pin first
) strict;
create index pins_room on pins (room, event);

create table edits (
    key       integer primary key,
    id        blob not null,
    seq       integer not null references messages (seq) on delete cascade,
    content   text not null,        -- what it said before
    editor    text not null,
    edited_at integer not null
) strict;
create index edits_seq on edits (seq, key);

create table reactions (
    event      integer primary key, -- order of first use
    id         blob not null,
    seq        integer not null references messages (seq) on delete cascade,
    room       integer not null,
    sender     text not null,
    emoji      text not null,
    created_at integer not null,
    unique (seq, sender, emoji)
) strict;
create index reactions_message on reactions (seq, event);
create index reactions_room on reactions (room, seq, event);

create table read_positions (
    room          integer not null references rooms (key) on delete cascade,
    sender        text not null,
    last_read_seq integer not null,
    updated_at    integer not null,
    event         integer not null, -- newest first
    primary key (room, sender)
) strict, without rowid;
create index read_positions_sender on read_positions (sender, room);
create index read_positions_event on read_positions (room, event);

create table bookmarks (
    sender     text not null,
    room       integer not null references rooms (key) on delete cascade,
    created_at integer not null,
    event      integer not null,    -- newest first
    primary key (sender, room)
) strict, without rowid;
create index bookmarks_event on bookmarks (sender, event);
create index bookmarks_room on bookmarks (room);

create table profiles (
    sender       text primary key,
    display_name text,
    sender_type  text,
    avatar_url   text,
    bio          text,
    status_text  text,
    metadata     text not null,
    created_at   integer not null,
    updated_at   integer not null,
    event        integer not null   -- newest first
) strict, without rowid;
create unique index profiles_event on profiles (event);

-- Bytes lie beside the store, under their SHA-256; several files may share them.
create table files (
    event        integer primary key, -- newest first
    id           blob not null unique,
    room         integer not null references rooms (key),
    sender       text not null,
    filename     text not null,
    content_type text not null,
    size         integer not null,
    hash         blob not null,
    created_at   integer not null
) strict;
create index files_room on files (room, event);
create index files_hash on files (hash);

create table webhooks (
    key           integer primary key autoincrement,
    id            blob not null unique,
    room          integer not null references rooms (key) on delete cascade,
    url           text not null,
    events        text not null,    -- comma-separated, or *
    secret        text,
    created_by    text not null,
    created_at    integer not null,
    active        integer not null,
    failing_since integer           -- of the first failure after the last success
) strict;
create index webhooks_room on webhooks (room, key);

-- Tries to deliver to an endpoint.
create table webhook_deliveries (
    key              integer primary key autoincrement,
    id               blob not null,
    webhook          integer not null references webhooks (key) on delete cascade,
    job              blob not null, -- the delivery's id, which all its tries share
    event            text not null,
    url              text not null,
    attempt          integer not null,
    succeeded        integer not null,
    status_code      integer,
    error_message    text,
    response_time_ms integer not null,
    created_at       integer not null
) strict;
create index webhook_deliveries_webhook on webhook_deliveries (webhook, key);
create index webhook_deliveries_job on webhook_deliveries (job);

-- Tries by hour, so that a day's sum reads 24 rows.
create table webhook_hours (
    hour      integer primary key,
    succeeded integer not null,
    failed    integer not null
) strict;

create table incoming_webhooks (
    key        integer primary key autoincrement,
    id         blob not null unique,
    room       integer not null references rooms (key) on delete cascade,
    name       text not null,
    token      text not null unique, -- lists show it, so it is not hashed
    created_by text not null,
    created_at integer not null,
    active     integer not null
) strict;
create index incoming_webhooks_room on incoming_webhooks (room, key);

create table tokens (
    name       text primary key,
    digest     blob not null unique, -- SHA-256
    scopes     text not null,        -- comma-separated
    created_at integer not null
) strict, without rowid;
