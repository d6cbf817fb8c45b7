-- +goose Up
-- The last lines of output of what a deployment failed for, oldest first.
alter table deployments add column error_log text[] not null default '{}';
