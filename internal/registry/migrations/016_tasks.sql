-- +goose Up
-- The runs of steps and jobs: containers that run to their end. Id is that of the run,
-- and deployment the one that it is a step of, or whose release the job is of. State is
-- 'running' until the run has ended; log has the last lines of output, oldest first, of
-- so many lines altogether.
create table tasks (
    service     text not null references services on delete cascade,
    id          text not null check (id <> ''),
    kind        text not null check (kind in ('step', 'job')),
    name        text not null check (name <> ''),
    deployment  integer not null,
    try         integer not null default 1,
    node        text not null,
    container   text not null,
    image       text not null default '',
    state       text not null,
    exit_code   integer not null default 0,
    detail      text not null default '',
    log         text[] not null default '{}',
    lines       integer not null default 0,
    recorded_at timestamptz not null default now(),
    started_at  timestamptz,
    ended_at    timestamptz,
    primary key (service, id)
);
create index tasks_by_deployment on tasks (service, kind, deployment);
