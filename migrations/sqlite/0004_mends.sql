-- Merges that are undone one by one, and what conversations and people leave behind when they go.

-- Into whom a person was merged; `merged_into` is where the chain of merges ends.
alter table users add column part_of integer references users (key);
create index users_part_of on users (part_of) where part_of is not null;
update users set part_of = merged_into where merged_into is not null;

-- Found by lane for whichever instance, and by age. What the old ones counted is over within a minute.
drop table turn_windows;
create table turn_windows (
    lane     text not null,
    instance text not null,
    began    integer not null,
    turns    integer not null,
    primary key (lane, instance)
) strict, without rowid;
create index turn_windows_began on turn_windows (began);

-- Rows that could not be taken, and deeds, by whom they may name.
create index queue_ingest on queue (key) where kind = 'ingest';
create index audit_subject on audit (subject, key);

-- A lane with the form of an id that is no conversation's, room's or endpoint's belonged to one that ended.
delete from queue_pauses where length(lane) = 36 and length(unhex(replace(lane, '-', ''))) = 16
    and not exists (select 1 from conversations where id = unhex(replace(lane, '-', '')) and instance <> '')
    and not exists (select 1 from rooms where id = unhex(replace(lane, '-', '')) and type <> 'deleted')
    and not exists (select 1 from webhooks where id = unhex(replace(lane, '-', '')));
