-- +goose Up
-- The key to which secrets for a node are sealed, and the signers whom the node trusts,
-- as its worker claimed the name with them.
alter table nodes
    add column key     text not null default '',
    add column signers text[] not null default '{}';

-- The secrets of services, of which newest is the number of the last version. The row
-- stays when the secret is removed, so that no number is used twice: nodes keep what
-- they have under it. A service need not be recorded yet.
create table secrets (
    service text not null check (service <> ''),
    name    text not null check (name <> ''),
    newest  integer not null default 0 check (newest >= 0),
    removed boolean not null default false,
    primary key (service, name)
);

-- The versions that are kept. The envelope has the value, sealed to keys of nodes and
-- signed; mark is an HMAC of the value with the signer's private key.
create table secret_versions (
    service    text not null,
    name       text not null,
    version    integer not null check (version > 0),
    recipients jsonb not null,
    sealed     bytea not null,
    signer     text not null,
    signature  bytea not null,
    mark       bytea not null,
    at         timestamptz not null default now(),
    rekeyed_at timestamptz,
    who        text not null,
    from_host  text not null,
    primary key (service, name, version),
    foreign key (service, name) references secrets on delete cascade
);
