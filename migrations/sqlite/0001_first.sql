-- Rowids carry the order: messages, their event and their row in the search index share one number, `seq`.
-- Times are microseconds since 1970 in UTC; ids are UUIDv7 in 16 bytes.

-- The one log. Autoincrement, because a plain rowid is given again after the highest row was deleted.
create table events (
    seq  integer primary key autoincrement,
    room integer,                 -- rooms.key; null: of no room
    kind integer not null,        -- store/events.rs names the numbers
    data text                     -- null on a message whose row still says the same
) strict;
create index events_room on events (room, seq, kind);

create table rooms (
    key         integer primary key,
    id          blob not null unique,
    type        text not null,    -- room | bridge
    name        text not null,
    description text not null default '',
    created_by  text not null,
    admin_key   blob,             -- SHA-256 of the key; null: only the operator's token
    created_at  integer not null,
    updated_at  integer not null
) strict;
create unique index rooms_name on rooms (name) where type = 'room';

-- Apart from rooms, so that a message rewrites a small row.
create table room_state (
    room          integer primary key references rooms (key) on delete cascade,
    message_count integer not null default 0,
    last_seq      integer         -- of the newest message
) strict;

create table messages (
    seq         integer primary key,
    id          blob not null unique,
    room        integer not null references rooms (key),
    sender      text not null,
    sender_type text,
    profile     integer,          -- who wrote it on a platform; null: it did not come from one
    reply_to    integer,          -- seq; kept when that message goes
    created_at  integer not null, -- strictly increases with seq
    json        text not null     -- as the API gives it
) strict;
create index messages_reply_to on messages (reply_to, seq) where reply_to is not null;

-- `room` is a token of its own ("r" and the room's key), which narrows a search without a join.
create virtual table messages_search using fts5 (
    room, sender, content, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

create table users (
    key        integer primary key,
    id         blob not null unique,
    name       text not null,
    created_at integer not null
) strict;

create table platform_profiles (
    key              integer primary key,
    user             integer not null references users (key),
    platform         text not null,
    platform_user_id text not null,
    username         text not null,
    display_name     text not null,
    metadata         text not null default '{}',
    first_seen       integer not null,
    last_seen        integer not null,
    unique (platform, platform_user_id)
) strict;
create index platform_profiles_user on platform_profiles (user);

create table conversations (
    key            integer primary key,
    id             blob not null unique,
    instance       text not null,   -- plugin instance, or `bridge`
    external_id    text not null,
    platform       text not null,
    room           integer not null unique references rooms (key),
    profile        integer not null references platform_profiles (key), -- who last wrote there
    created_at     integer not null,
    last_active    integer not null,
    message_count  integer not null default 0, -- from the platform
    response_count integer not null default 0, -- to the platform
    handed_over    integer not null default 0, -- a widget has every response up to this seq
    ip_address     text,
    unique (instance, external_id)
) strict;
create index conversations_platform on conversations (platform, key);
create index conversations_profile on conversations (profile, key);
create index conversations_active on conversations (last_active) where instance = 'bridge';

-- What was said to visitors of the native bridge API, over all of them, for a site that polls.
create table bridge_responses (
    seq          integer primary key,
    conversation integer not null references conversations (key)
) strict;

-- Outlives the message: what came in once is never taken again.
create table ingested (
    instance    text not null,
    external_id text not null,
    seq         integer,          -- null: it could not be read
    primary key (instance, external_id)
) strict, without rowid;

-- The one queue. Its order within a lane is that of `key`.
create table queue (
    key          integer primary key autoincrement,
    id           blob not null unique,
    cause        integer,         -- events.seq
    kind         text not null,
    instance     text not null,
    lane         text not null,
    state        text not null,   -- pending | processing | completed | failed | flushed
    runnable     integer not null,-- the lane's head; at most one of a lane is runnable
    priority     integer not null default 0,
    attempts     integer not null default 0,
    rescues      integer not null default 0,
    uncertain    integer not null default 0,
    max_attempts integer not null,
    next_at      integer not null,
    lease_until  integer,
    claim        integer not null default 0, -- a settlement with an older one is refused
    payload      text not null,
    last_error   text,
    created_at   integer not null,
    started_at   integer,         -- of the current or last attempt
    finished_at  integer
) strict;
create index queue_lane on queue (instance, lane, key) where state in ('pending', 'processing');
create index queue_due on queue (instance, next_at, key) where state = 'pending' and runnable = 1;
create index queue_leases on queue (instance, lease_until) where state = 'processing';
create index queue_open on queue (state, key) where state <> 'completed';
create index queue_inbox on queue (cause) where kind = 'inbox' and state in ('pending', 'processing');

create table queue_attempts (
    job        integer not null references queue (key) on delete cascade,
    number     integer not null,
    started_at integer not null,
    ended_at   integer not null,
    outcome    text not null,     -- done | retry | discard | snooze | rescued
    error      text,
    status     integer,           -- status code of the other side
    primary key (job, number)
) strict, without rowid;

-- Kept, so that nobody counts a million rows to show a number.
create table queue_counts (
    instance text not null,
    state    text not null,
    count    integer not null,
    primary key (instance, state)
) strict, without rowid;

create table plugin_kv (
    instance text not null,
    key      text not null,
    value    text not null,
    primary key (instance, key)
) strict, without rowid;
