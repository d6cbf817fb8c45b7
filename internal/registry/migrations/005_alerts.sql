-- +goose Up
-- The events that destinations have yet to get.
create table alerts (
    destination text not null check (destination <> ''),
    event       bigint not null references events on delete cascade,
    primary key (destination, event)
);
