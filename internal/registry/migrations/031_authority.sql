-- +goose Up
-- The fingerprint of the authority that signed the last certificate of an identity, so that
-- an authority is dropped when no identity needs it any more; '' is one from before.
alter table identities add column authority text not null default '';
