-- +goose Up
-- How each node was at each look that had an answer, of the last two days. Cpu,
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

-- What is left of the samples of an hour after that: how many there were, and
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

-- Folded is how many events of the same drift were dropped that lay between the
-- first and the last of an hour; the last bears it.
alter table events add column folded integer not null default 0;

-- Path is the file system that a drift is about; '' where it is not about one.
alter table events add column path text not null default '';
alter table drift add column path text not null default '';
alter table drift drop constraint drift_pkey;
alter table drift add primary key (node, kind, service, component, container, path);
