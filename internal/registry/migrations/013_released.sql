-- +goose Up
-- When the deployment succeeded, where that was before its end: its predecessors are
-- removed between the two. Outcome is null until then.
alter table deployments add column released_at timestamptz;
