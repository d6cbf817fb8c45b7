-- +goose Up
-- boot is the kernel's id of the last boot of the node's host after which its
-- containers were started again; '' before the first.
alter table nodes add column boot text not null default '';
