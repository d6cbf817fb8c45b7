-- +goose Up
-- The events that somebody is still to be told of, by where they go.
create table alerts (
    destination text not null check (destination <> ''),
    event       bigint not null references events on delete cascade,
    primary key (destination, event)
);
