// Package alert sends messages about events to a webhook or to a command.
//
// A send is one attempt: the caller retries, and a receiver may get a message
// twice, with the same ID. No error contains a webhook's path or query, which may
// be secret.
//
// Package workers imports it and passes it to the activities.
package alert
