-- +goose Up
-- Containers that mcp runs as components and did not create. They bear no
-- label of mcp's and are identified by their ids alone: these rows hold the labels
-- that they would bear. One that a successor has replaced stays here until it is
-- certainly gone.
create table adopted_containers (
    node         text not null references nodes on delete cascade,
    container_id text not null check (container_id <> ''),
    service      text not null references services on delete cascade,
    component    text not null,
    deployment   integer not null,
    spec         text not null,
    primary key (node, container_id),
    foreign key (service, deployment) references deployments (service, number)
);
create index adopted_containers_by_service on adopted_containers (service);

-- The definition that the operator gave last, whether it was deployed or not;
-- null where none was given, and after an undeploy.
alter table services
    add column definition      jsonb,
    add column definition_hash text,
    add check ((definition is null) = (definition_hash is null));
