-- +goose Up
-- The holder of the node's name: machine identifies the host, '' until one has
-- claimed the name; machine_boot is its boot, hostname its host name,
-- and held_since when it got the name. A draining node gets no new
-- container.
alter table nodes
    add column machine      text not null default '',
    add column machine_boot text not null default '',
    add column hostname     text not null default '',
    add column held_since   timestamptz,
    add column draining     boolean not null default false;

-- Unanswered is when the first of the unanswered observations since the last
-- answered one began; null while the node answers.
alter table node_status add column unanswered timestamptz;

-- The events of a node outlive the node.
alter table events drop constraint events_node_fkey;
