-- +goose Up
-- A node has a row from the first definition that names it; seen is null
-- until its worker has announced itself.
create table nodes (
    name    text primary key check (name <> ''),
    address text not null default '',
    runtime text not null default '',
    version text not null default '',
    seen    timestamptz
);

-- release is the number of the deployment that the service should run, newest
-- that of the newest deployment of any outcome; the next one's is one more.
create table services (
    name    text primary key check (name <> ''),
    active  boolean not null default false,
    dirty   boolean not null default false,
    release integer,
    newest  integer not null default 0 check (newest >= 0),
    check (release <= newest)
);

-- outcome is null while the deployment is under way, and 'lost' when a newer
-- one found it under way: its workflow had been terminated.
create table deployments (
    service         text not null references services on delete cascade,
    number          integer not null check (number > 0),
    verb            text not null,
    definition      jsonb not null,
    definition_hash text not null,
    digests         jsonb not null default '{}',
    outcome         text check (outcome in ('succeeded', 'unchanged', 'failed', 'cancelled', 'lost')),
    error_kind      text not null default '',
    error_message   text not null default '',
    undone          text[] not null default '{}',
    dirty           boolean not null default false,
    who             text not null,
    from_host       text not null,
    workflow_id     text not null,
    run_id          text not null unique,
    started_at      timestamptz not null default now(),
    finished_at     timestamptz,
    primary key (service, number),
    check ((outcome is null) = (finished_at is null))
);
create index deployments_under_way on deployments (service) where outcome is null;

alter table services
    add foreign key (name, release) references deployments (service, number);

-- The components of each service's release. deployment is the one that created
-- the container; it is older than the release where the component was kept.
create table components (
    service    text not null references services on delete cascade,
    name       text not null check (name <> ''),
    container  text not null,
    node       text not null references nodes,
    deployment integer not null,
    image      text not null,
    digest     text not null,
    spec       text not null,
    active     boolean not null,
    primary key (service, name),
    foreign key (service, deployment) references deployments (service, number)
);
create index components_by_node on components (node);

-- The holder of each host port. The key keeps two components from holding one.
--
-- deployment is the one that requested the port last; committed is set where
-- the release's container uses it, and rests_until while it must not be
-- allocated again although it is not held. A static port, one that the definition
-- names, has no route; it belongs to its component, so that a deployment that
-- requests a port of its predecessor takes it over, and gives it back by
-- not being committed.
create table component_routes (
    node        text not null references nodes,
    protocol    text not null check (protocol in ('tcp', 'udp', 'sctp')),
    host_port   integer not null check (host_port between 1 and 65535),
    service     text not null references services on delete cascade,
    component   text not null check (component <> ''),
    route       text not null default '',
    deployment  integer not null,
    committed   boolean not null default false,
    rests_until timestamptz,
    port        integer not null default 0,
    mode        text not null default '',
    hostname    text not null default '',
    primary key (node, protocol, host_port),
    foreign key (service, deployment) references deployments (service, number),
    check (not committed or rests_until is null)
);
create unique index component_routes_held
    on component_routes (service, component, deployment, route)
    where route <> '' and rests_until is null;
create index component_routes_resting
    on component_routes (node, rests_until) where rests_until is not null;

-- The changes that the monitor found.
create table events (
    id        bigint generated always as identity primary key,
    at        timestamptz not null default now(),
    kind      text not null check (kind in ('missing', 'stopped', 'wrong-image', 'flapping', 'orphan', 'unreachable', 'back')),
    node      text not null references nodes on delete cascade,
    service   text references services on delete cascade,
    component text not null default '',
    container text not null default '',
    detail    text not null default ''
);
create index events_by_service on events (service, id desc);
create index events_by_node on events (node, id desc);

-- The last status of each node; sizes are in bytes.
create table node_status (
    node           text primary key references nodes on delete cascade,
    state          text not null check (state in ('ready', 'unreachable', 'draining')),
    observed_at    timestamptz not null,
    uptime_seconds bigint not null default 0,
    kernel         text not null default '',
    runtime        text not null default '',
    cpu_percent    double precision not null default 0,
    load           double precision[] not null default '{}',
    memory_total   bigint not null default 0,
    memory_used    bigint not null default 0,
    disk_total     bigint not null default 0,
    disk_used      bigint not null default 0
);

-- The containers of the last observation of each node, mcp's and others.
create table observed_containers (
    node         text not null references nodes on delete cascade,
    name         text not null,
    container_id text not null,
    image        text not null,
    digest       text not null default '',
    service      text not null default '',
    component    text not null default '',
    deployment   integer not null default 0,
    spec         text not null default '',
    state        text not null,
    health       text not null default '',
    started_at   timestamptz,
    restarts     integer not null default 0,
    ports        jsonb not null default '[]',
    observed_at  timestamptz not null,
    primary key (node, name)
);
create index observed_containers_by_service on observed_containers (service, component);
