-- +goose Up
-- The figures of each node at each answered observation of the last two days. Cpu,
-- memory and disk are percentages; disk is that of podman's storage.
create table node_samples (
    node    text not null references nodes on delete cascade,
    at      timestamptz not null,
    cpu     real not null,
    memory  real not null,
    disk    real not null,
    load    real not null,
    running integer not null,
    primary key (node, at)
);

-- The summary of the samples of each hour before that: how many there were, and
-- the lowest, the mean and the highest of each figure.
create table node_hours (
    node         text not null references nodes on delete cascade,
    hour         timestamptz not null,
    looks        integer not null,
    cpu_low      real not null,
    cpu          real not null,
    cpu_high     real not null,
    memory_low   real not null,
    memory       real not null,
    memory_high  real not null,
    disk_low     real not null,
    disk         real not null,
    disk_high    real not null,
    load_low     real not null,
    load         real not null,
    load_high    real not null,
    running_low  real not null,
    running      real not null,
    running_high real not null,
    primary key (node, hour)
);

-- Folded is how many events of the same drift were dropped between the first and
-- the last of an hour; the last has it.
alter table events add column folded integer not null default 0;

-- Path is the file system that is full; '' for drift of another kind.
alter table events add column path text not null default '';
alter table drift add column path text not null default '';
alter table drift drop constraint drift_pkey;
alter table drift add primary key (node, kind, service, component, container, path);
