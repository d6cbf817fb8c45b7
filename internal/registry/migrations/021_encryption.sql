-- +goose Up
-- What is encrypted of a row, with the key that it names: the texts that are empty in the
-- columns beside it. The column definition of services and deployments holds an encrypted
-- definition itself: of it only what statements need is in the clear.
alter table deployments add column sealed bytea;
alter table tasks       add column sealed bytea;
alter table job_runs    add column sealed bytea;

-- The keys with which something may be encrypted, here or in Temporal: a control worker
-- that lacks one of them must not serve. Proof is a text that is encrypted with the key,
-- so that another key of the same id is noticed.
create table encryption_keys (
    id         text primary key check (id <> ''),
    proof      bytea not null,
    first_used timestamptz not null default now()
);
