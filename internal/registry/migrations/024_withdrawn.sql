-- +goose Up
-- The number of the last version of a secret, where that was withdrawn and newest is one
-- before it; else 0.
alter table secrets add column last integer not null default 0;
