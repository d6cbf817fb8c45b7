-- +goose Up
-- boot is the last boot of the node's host, as its kernel names it, after which
-- its containers have been started again; '' before the first.
alter table nodes add column boot text not null default '';
