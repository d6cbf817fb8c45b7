-- +goose Up
-- These three have no rows yet.
drop table events, node_status, observed_containers;

-- The changes that the monitor found: the beginning or the end of a drift.
-- Since is when it began. The service does not refer to a row: an orphan may name
-- one that is not recorded.
create table events (
    id        bigint generated always as identity primary key,
    at        timestamptz not null,
    kind      text not null check (kind <> ''),
    ended     boolean not null,
    node      text not null references nodes on delete cascade,
    service   text not null,
    component text not null,
    container text not null,
    detail    text not null,
    since     timestamptz not null
);
create index events_by_service on events (service, id desc);
create index events_by_node on events (node, id desc);
create index events_by_time on events (at);

-- The drift that has begun and not ended.
create table drift (
    node      text not null references nodes on delete cascade,
    kind      text not null check (kind <> ''),
    service   text not null,
    component text not null,
    container text not null,
    detail    text not null,
    since     timestamptz not null,
    primary key (node, kind, service, component, container)
);

-- The last observation of each node. Since is when it entered that state, seen
-- when it last answered, and status its answer.
create table node_status (
    node        text primary key references nodes on delete cascade,
    state       text not null check (state in ('ready', 'unreachable', 'draining')),
    since       timestamptz not null,
    observed_at timestamptz not null,
    seen        timestamptz,
    status      jsonb
);

-- The containers of the last observation of each node, mcp's and others.
-- Restarted is when the last of its restarts were noticed.
create table observed_containers (
    node         text not null references nodes on delete cascade,
    name         text not null,
    container_id text not null,
    image        text not null,
    digest       text not null,
    service      text not null,
    component    text not null,
    deployment   integer not null,
    spec         text not null,
    state        text not null,
    health       text not null,
    exit_code    integer not null,
    restarts     integer not null,
    started_at   timestamptz,
    restarted    timestamptz[] not null,
    primary key (node, name)
);
create index observed_containers_by_service on observed_containers (service, component);
