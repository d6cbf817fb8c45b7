// Package codec encrypts what mcp gives to Temporal, and decrypts what it gets from
// there: every payload and the texts of failures, in each call of a client or a worker.
//
// A [Codec] without keys encrypts nothing. It still has to be installed: it says which
// key is missing, where the SDK would fail oddly, and answers a task that it cannot read
// instead of leaving it to time out.
package codec
