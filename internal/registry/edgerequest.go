package registry

import (
	"crypto/hmac"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Limits of a request to the storage of edges.
const (
	// maxKey is the length of the longest key, and name of a lock, in bytes.
	maxKey = 512
	// maxValue is the size of the largest value, in bytes.
	maxValue     = 256 << 10
	maxHolder    = 128
	maxLease     = time.Hour
	maxOperation = 2*maxValue + 8<<10
	// proofTime is how long a request is valid, and by how much the clocks of an edge and
	// of a control worker may differ.
	proofTime = 5 * time.Minute
)

// proven returns the operation of a request. The error is Unauthorized if the secret
// does not prove it, or its time is not about now.
func proven(r fleet.StorageRequest, secret []byte, now time.Time) (o fleet.StorageOperation, err error) {
	if len(r.Operation) > maxOperation {
		return o, fault.New(fault.Invalid, "a request to the storage of edges has %d bytes: at most %d are permitted", len(r.Operation), maxOperation)
	}
	if len(secret) == 0 || !hmac.Equal(r.Proof, fleet.StorageProof(secret, r.Operation)) {
		return o, fault.New(fault.Unauthorized, "the request is not one of edge %s", fleet.Text(r.Edge, 100)).
			WithHint("it announces itself within a minute, and gets its secret anew")
	}
	if err := json.Unmarshal(r.Operation, &o); err != nil {
		return o, fault.Wrap(fault.Invalid, err, "a request to the storage of edges")
	}
	switch age := now.Sub(o.At); {
	case o.Edge != r.Edge:
		return o, fault.New(fault.Unauthorized, "the request is not one of edge %s", fleet.Text(r.Edge, 100))
	case age.Abs() > proofTime:
		return o, fault.New(fault.Unauthorized, "the request of edge %s is %s old", r.Edge, age.Round(time.Second)).
			WithHint("set the clocks of the edge and of the control workers: they may differ by %s", proofTime)
	}
	return o, check(o)
}

// check refuses an operation that cannot be carried out.
func check(o fleet.StorageOperation) error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "the storage of edges: "+format, args...)
	}
	for _, key := range []string{o.Key, o.After} {
		if len(key) > maxKey || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			return refuse("%.200q is no key of at most %d bytes", key, maxKey)
		}
	}
	switch o.Verb {
	case fleet.StorageLoad, fleet.StorageStore, fleet.StorageReplace, fleet.StorageDelete:
	case fleet.StorageList:
		return nil
	case fleet.StorageLock, fleet.StorageUnlock:
		if o.Holder == "" || len(o.Holder) > maxHolder || !utf8.ValidString(o.Holder) || strings.ContainsFunc(o.Holder, unicode.IsControl) {
			return refuse("%.200q is no holder of a lock", o.Holder)
		}
		if o.Verb == fleet.StorageLock && (o.Lease <= 0 || o.Lease > maxLease) {
			return refuse("a lease of %s: it must be at most %s", o.Lease, maxLease)
		}
	default:
		return refuse("%.200q is no verb", o.Verb)
	}
	switch {
	case o.Key == "":
		return refuse("a key is missing")
	case len(o.Value) > maxValue:
		return refuse("the value of %s has %d bytes: at most %d are permitted", o.Key, len(o.Value), maxValue)
	}
	return nil
}
