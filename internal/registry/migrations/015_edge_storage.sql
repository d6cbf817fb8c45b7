-- +goose Up
-- What edges share: certificates, the answers to challenges, the keys of authorities. The
-- values are sealed to the keys of the edges.
create table edge_storage (
    key      text collate "C" primary key check (length(key) between 1 and 512),
    value    bytea not null,
    size     bigint not null generated always as (octet_length(value)) stored,
    modified timestamptz not null
);

-- The locks of edges, each until its lease ends.
create table edge_locks (
    name   text collate "C" primary key check (length(name) between 1 and 512),
    holder text not null,
    expiry timestamptz not null
);

-- The requests to write that were carried out, by their proofs, until these prove nothing
-- any more. Run is that of the workflow: it alone may repeat the request.
create table edge_requests (
    proof  bytea primary key,
    run    text not null,
    expiry timestamptz not null
);
create index edge_requests_by_expiry on edge_requests (expiry);

-- The secret of an admitted edge with which it proves its requests.
alter table edges add column secret bytea;
