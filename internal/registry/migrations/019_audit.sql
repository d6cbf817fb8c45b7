-- +goose Up
-- Who did what, to what, from where: two rows for each action, when it begins and when it
-- has ended, which are never changed. No other table is referred to, because a row
-- outlives what it is about.
create table audit (
    id          bigint generated always as identity primary key,
    action      text not null check (action <> ''),
    phase       text not null check (phase in ('begun', 'ended')),
    at          timestamptz not null,
    recorded_at timestamptz not null default now(),
    who         text not null check (who <> ''),
    from_host   text not null,
    claimed     boolean not null,
    verb        text not null check (verb <> ''),
    service     text not null default '',
    component   text not null default '',
    node        text not null default '',
    edge        text not null default '',
    detail      text not null default '',
    workflow_id text not null default '',
    run_id      text not null default '',
    outcome     text not null default '',
    error       text not null default '',
    unique (action, phase),
    check ((phase = 'ended') = (outcome <> ''))
);
create index audit_at on audit (at) where phase = 'begun';
create index audit_service on audit (service, id) where phase = 'begun';

-- +goose StatementBegin
-- Rows are added, and expire: the owner of the tables deletes those that are older than
-- they are kept, in a transaction that says so. Privileges keep every other role from it;
-- this keeps the owner itself, which workers may connect as, from doing it by mistake.
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('mcp.audit_expires', true) = 'on' then
        return old;
    end if;
    raise exception 'rows of the audit are not changed' using errcode = 'insufficient_privilege';
end $$;
-- +goose StatementEnd

create trigger audit_rows_stay before update or delete on audit
    for each row execute function audit_is_append_only();
create trigger audit_stays before truncate on audit
    for each statement execute function audit_is_append_only();
