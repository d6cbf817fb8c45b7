-- +goose Up
-- The edges that have announced themselves, or were admitted before that. Key is the
-- public key: the one announced last or, once admitted_at is set, the one that an
-- operator has admitted. Seen is when the edge last announced itself, or answered;
-- observed_at is when the monitor last observed it, and status its last answer.
create table edges (
    name        text primary key check (name <> ''),
    key         text not null check (key <> ''),
    admitted_at timestamptz,
    version     text not null default '',
    hostname    text not null default '',
    addresses   text[] not null default '{}',
    ports       jsonb not null default '{}',
    machine     jsonb not null default '{}',
    seen        timestamptz,
    observed_at timestamptz,
    status      jsonb
);

-- The holder of each endpoint. No two services have endpoints that collide: all four are
-- equal, or one is http and the other tcp, at one port and hostname. "*.shop.example" and
-- "a.shop.example" are two endpoints, of which the edges choose the more specific one. Run is that of the last deployment that has asked for it; committed
-- is set where the release has it.
create table edge_claims (
    port      integer not null check (port between 1 and 65535),
    protocol  text not null check (protocol in ('http', 'tcp', 'udp')),
    hostname  text not null,
    path      text not null,
    service   text not null references services on delete cascade,
    run       text not null,
    committed boolean not null default false,
    primary key (port, protocol, hostname, path)
);
create index edge_claims_by_service on edge_claims (service);

-- What edges serve of each service. The row outlives the service: edges that have routes
-- of it must get the one without.
--
-- Held and stopped are components to which nothing is sent while the deployment of run
-- replaces or stops them. Run is the last deployment that has published, base the
-- upstreams before its first publication; committed is set once its release is
-- published.
create table publications (
    service   text primary key check (service <> ''),
    version   bigint not null,
    routes    jsonb not null,
    held      text[] not null default '{}',
    stopped   text[] not null default '{}',
    run       text not null default '',
    committed boolean not null default false,
    base      text[] not null default '{}',
    at        timestamptz not null
);

-- The versions of publications that were sent to an edge, whether it got them or not,
-- and that it has acknowledged.
create table edge_publications (
    edge     text not null references edges on delete cascade,
    service  text not null,
    sent     bigint not null default 0,
    acked    bigint not null default 0,
    problems text[] not null default '{}',
    primary key (edge, service)
);
create index edge_publications_by_service on edge_publications (service);

-- The host ports to which publications lead, with the last version that does. Another
-- container must not get such a port while an edge may still have that version. The row
-- outlives the service and the node, whose address another node may get.
create table published_ports (
    service text not null,
    node    text not null,
    address text not null,
    port    integer not null,
    version bigint not null,
    primary key (service, node, address, port)
);
create index published_ports_by_port on published_ports (port);

-- Where the container publishes its ports; '' where that is not known: then it is the
-- address of its node, which may have got another one since.
alter table components add column address text not null default '';

alter table services add column maintenance boolean not null default false;

-- The event of an edge has no node.
alter table events
    add column edge     text not null default '',
    add column hostname text not null default '';

-- The drift at edges that has begun and not ended.
create table edge_drift (
    edge     text not null references edges on delete cascade,
    kind     text not null check (kind <> ''),
    service  text not null,
    hostname text not null,
    detail   text not null,
    since    timestamptz not null,
    primary key (edge, kind, service, hostname)
);
