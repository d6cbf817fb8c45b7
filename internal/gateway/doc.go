// Package gateway puts a gateway together: the door, what serves its protocols, the
// registry that it reads, and the keys that it shares with other gateways.
//
// The keys are made by the first gateway, and rest in Postgres, sealed to its key file.
// Each gateway keeps a copy of what is sealed, and of the list of revoked identities, so
// that it can start while Postgres is away.
package gateway
