-- +goose Up
-- Who may connect to a gateway. A row begins as a token, of which only the hash is here;
-- it is used up when joined_at is set. A role and a name have one row that has joined and
-- is not revoked.
create table identities (
    id            text primary key check (id <> ''),
    role          text not null check (role <> ''),
    name          text not null check (name <> ''),
    services      text[] not null default '{}',
    grants        text[] not null default '{}',
    life          bigint not null default 0 check (life >= 0), -- seconds; 0: the gateway's default
    created_at    timestamptz not null default now(),
    created_by    text not null,
    token         text not null unique check (token <> ''),
    token_until   timestamptz not null,
    key           text not null default '',
    joined_at     timestamptz,
    joined_from   text not null default '',
    renewed_at    timestamptz,
    valid_until   timestamptz,
    revoked_at    timestamptz,
    revoked_by    text not null default '',
    check ((joined_at is null) = (key = ''))
);
create unique index identities_live on identities (role, name) where joined_at is not null and revoked_at is null;

-- The keys of the gateways, sealed to their key file. What is public of them is in the
-- clear, for those who check what a gateway has signed.
create table gateway_keys (
    name       text primary key check (name <> ''),
    sealed     bytea not null,
    public     text not null default '',
    created_at timestamptz not null default now()
);
