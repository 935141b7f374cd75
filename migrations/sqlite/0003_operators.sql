-- What operators need: ended jobs by age, pauses, priorities, a record of their deeds; and people in the loop.

-- Retention takes the oldest first, state by state.
create index queue_ended on queue (state, finished_at) where finished_at is not null;

-- Urgent jobs first: a claim looks at one priority after the other.
drop index queue_due;
create index queue_due on queue (instance, priority, next_at, key) where state = 'pending' and runnable = 1;

-- The oldest job that waits for an instance.
create index queue_waiting on queue (instance, key) where state = 'pending';

-- Lanes that an operator holds; of an instance as a whole where the lane is ''.
create table queue_pauses (
    instance  text not null,
    lane      text not null,
    paused_at integer not null,
    paused_by text not null,
    reason    text not null default '',
    primary key (instance, lane)
) strict, without rowid;

-- What operators did, newest last.
create table audit (
    key     integer primary key autoincrement,
    at      integer not null,
    actor   text not null,        -- whose right it was: operator | signal | the name of an access token
    origin  text not null,        -- where from: an address, or `command line`
    action  text not null,        -- such as plugins.enable
    subject text not null,
    outcome text not null,        -- done | refused
    detail  text not null         -- JSON
) strict;
create index audit_action on audit (action, key);

-- A person who speaks in the agent's place. Without a time: until somebody releases it.
alter table conversations add column taken_by text;
alter table conversations add column taken_until integer;
create index conversations_taken on conversations (key) where taken_by is not null;

-- How many turns a lane began in its current minute.
create table turn_windows (
    instance text not null,
    lane     text not null,
    began    integer not null,
    turns    integer not null,
    primary key (instance, lane)
) strict, without rowid;

-- Turns in a row that agents' words began in a room, the last of them by the message numbered `seq`.
create table agent_rows (
    room  integer primary key references rooms (key) on delete cascade,
    seq   integer not null,
    turns integer not null
) strict;

-- Whose a profile was before its person was merged into another, so that a split gives it back.
alter table platform_profiles add column merged_from integer references users (key);
alter table users add column merged_into integer references users (key);
create index platform_profiles_merged on platform_profiles (merged_from) where merged_from is not null;
create index users_merged on users (merged_into) where merged_into is not null;

-- What one person wrote on platforms, for their export and their deletion.
create index messages_profile on messages (profile, seq) where profile is not null;

-- Everybody who ever wrote in a conversation: where only one person did, it is theirs alone.
create table conversation_people (
    conversation integer not null references conversations (key) on delete cascade,
    profile      integer not null references platform_profiles (key),
    primary key (conversation, profile)
) strict, without rowid;
create index conversation_people_profile on conversation_people (profile, conversation);
insert into conversation_people (conversation, profile)
    select key, profile from conversations
    union
    select c.key, m.profile from messages m join conversations c on c.room = m.room where m.profile is not null;
