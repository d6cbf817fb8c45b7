-- +goose Up
-- Whose the name is: machine tells the host from others, '' until one has
-- claimed the name; machine_boot is its boot, hostname what it calls itself,
-- and held_since when it came to have the name. A draining node gets no new
-- container.
alter table nodes
    add column machine      text not null default '',
    add column machine_boot text not null default '',
    add column hostname     text not null default '',
    add column held_since   timestamptz,
    add column draining     boolean not null default false;

-- Unanswered is when the first of the looks began that have gone without an
-- answer since the last one that had one; null while the node answers.
alter table node_status add column unanswered timestamptz;

-- What has happened on a node stays told when the node is removed.
alter table events drop constraint events_node_fkey;
