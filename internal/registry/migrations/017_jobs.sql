-- +goose Up
-- The jobs of each service. Those of its release are released; the others keep their
-- pause, for the release that has them again.
create table jobs (
    service   text not null references services on delete cascade,
    name      text not null check (name <> ''),
    image     text not null,
    digest    text not null,
    released  boolean not null,
    runs      integer not null default 0,
    paused_at timestamptz,
    paused_by text not null default '',
    primary key (service, name)
);

-- The last runs of each job. Outcome is null while a run is under way. Number counts
-- those of a job, of which jobs.runs is the newest.
create table job_runs (
    service     text not null,
    job         text not null,
    number      integer not null check (number > 0),
    release     integer not null,
    node        text not null,
    container   text not null default '',
    command     text[] not null default '{}',
    due_at      timestamptz not null,
    started_at  timestamptz not null default now(),
    ended_at    timestamptz,
    outcome     text check (outcome in ('succeeded', 'failed', 'cancelled', 'missed', 'skipped', 'lost')),
    exit_code   integer not null default 0,
    detail      text not null default '',
    attempts    integer not null default 0,
    who         text not null default '',
    from_host   text not null default '',
    log         text[] not null default '{}',
    lines       integer not null default 0,
    workflow_id text not null,
    run_id      text not null unique,
    primary key (service, job, number),
    foreign key (service, job) references jobs on delete cascade,
    check ((outcome is null) = (ended_at is null))
);
create index job_runs_under_way on job_runs (service, job) where outcome is null;
