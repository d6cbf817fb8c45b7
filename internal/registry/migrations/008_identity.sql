-- +goose Up
-- A number that a node asks for may be far beyond those that this registry has
-- given out.
alter table services alter column release type bigint, alter column newest type bigint;
alter table deployments alter column number type bigint;
alter table components alter column deployment type bigint;
alter table component_routes alter column deployment type bigint;
alter table observed_containers alter column deployment type bigint;
alter table adopted_containers alter column deployment type bigint;

-- Run is the label of that name: the run of the deployment that created the container.
alter table observed_containers add column run text not null default '';

-- Nodes are those that may have something of the deployment. It is null until the
-- deployment is closed, and where it was lost: then those that its definition names
-- may have.
alter table deployments add column nodes text[];
