package fleet

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/metacircular/mcp/internal/fault"
)

// Limits of what edges store.
const (
	// MaxStorageKey is the length of the longest key, and name of a lock, in bytes.
	MaxStorageKey = 512
	// MaxStorageValue is the size of the largest value, in bytes.
	MaxStorageValue = 256 << 10
	// MaxStorageLease is the longest lease of a lock.
	MaxStorageLease = time.Hour
	// StorageProofTime is how long a request is valid, and by how much the clocks of an
	// edge and of a control worker may differ.
	StorageProofTime = 5 * time.Minute

	maxStorageHolder    = 128
	maxStorageOperation = 2*MaxStorageValue + 8<<10
)

// StorageVerb is what an edge does with the storage that it shares with others.
type StorageVerb string

// The verbs.
const (
	StorageLoad    StorageVerb = "load"
	StorageStore   StorageVerb = "store"
	StorageReplace StorageVerb = "replace"
	StorageDelete  StorageVerb = "delete"
	StorageList    StorageVerb = "list"
	StorageLock    StorageVerb = "lock"
	StorageUnlock  StorageVerb = "unlock"
)

// StorageOperation is one use of the storage that edges share.
type StorageOperation struct {
	// Edge, At and Nonce make the proof of a request one of this request.
	Edge  string    `json:"edge"`
	At    time.Time `json:"at"`
	Nonce string    `json:"nonce"`

	Verb StorageVerb `json:"verb"`
	// Key is that of a value, or the name of a lock. List returns it and those below it,
	// all if it is "".
	Key   string `json:"key,omitempty"`
	Value []byte `json:"value,omitempty"`
	// Former is the SHA-256 of the value that is replaced.
	Former []byte `json:"former,omitempty"`
	// After is the key after which List goes on.
	After string `json:"after,omitempty"`
	// Holder and Lease are those of a lock.
	Holder string        `json:"holder,omitempty"`
	Lease  time.Duration `json:"lease,omitempty"`
}

// Writes reports whether the operation changes anything.
func (o StorageOperation) Writes() bool { return o.Verb != StorageLoad && o.Verb != StorageList }

// StorageRequest is an operation with the proof that an admitted edge asks for it.
type StorageRequest struct {
	Edge string `json:"edge"`
	// Operation is a StorageOperation as JSON, and Proof its HMAC-SHA-256 with the secret
	// of the edge.
	Operation []byte `json:"operation"`
	Proof     []byte `json:"proof"`
}

// StorageAnswer is the answer to a StorageRequest.
type StorageAnswer struct {
	// Value is the one that was loaded; Missing is set where there is none.
	Value   []byte `json:"value,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	// Done reports whether a value was replaced, or the edge has the lock.
	Done bool `json:"done,omitempty"`
	// Entries are those of a list, sorted; More is set where others follow.
	Entries []StorageEntry `json:"entries,omitempty"`
	More    bool           `json:"more,omitempty"`
}

// StorageEntry describes the value of a key.
type StorageEntry struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// Proven returns the request of an edge for an operation, with the proof that it knows
// its secret.
func (o StorageOperation) Proven(edge string, secret []byte, now time.Time) (StorageRequest, error) {
	o.Edge, o.At, o.Nonce = edge, now.UTC(), rand.Text()
	if err := o.check(); err != nil {
		return StorageRequest{}, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return StorageRequest{}, err
	}
	return StorageRequest{Edge: edge, Operation: text, Proof: storageProof(secret, text)}, nil
}

// Open returns the operation of a request. The error is Unauthorized where the secret
// does not prove it, or its time is not about now.
func (r StorageRequest) Open(secret []byte, now time.Time) (o StorageOperation, err error) {
	if len(r.Operation) > maxStorageOperation {
		return o, fault.New(fault.Invalid, "a request to the storage of edges has %d bytes: at most %d are permitted", len(r.Operation), maxStorageOperation)
	}
	if len(secret) == 0 || !hmac.Equal(r.Proof, storageProof(secret, r.Operation)) {
		return o, fault.New(fault.Unauthorized, "the request is not one of edge %s", Text(r.Edge, 100)).
			WithHint("it announces itself within a minute, and gets its secret anew")
	}
	if err := json.Unmarshal(r.Operation, &o); err != nil {
		return o, fault.Wrap(fault.Invalid, err, "a request to the storage of edges")
	}
	switch age := now.Sub(o.At); {
	case o.Edge != r.Edge:
		return o, fault.New(fault.Unauthorized, "the request is not one of edge %s", Text(r.Edge, 100))
	case age.Abs() > StorageProofTime:
		return o, fault.New(fault.Unauthorized, "the request of edge %s is %s old", r.Edge, age.Round(time.Second)).
			WithHint("set the clocks of the edge and of the control workers: they may differ by %s", StorageProofTime)
	}
	return o, o.check()
}

func storageProof(secret, text []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("mcp edge storage\n"))
	h.Write(text)
	return h.Sum(nil)
}

// check refuses an operation that cannot be carried out.
func (o StorageOperation) check() error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "the storage of edges: "+format, args...)
	}
	for _, key := range []string{o.Key, o.After} {
		if len(key) > MaxStorageKey || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			return refuse("%.200q is no key of at most %d bytes", key, MaxStorageKey)
		}
	}
	switch o.Verb {
	case StorageLoad, StorageStore, StorageReplace, StorageDelete:
	case StorageList:
		return nil
	case StorageLock, StorageUnlock:
		if o.Holder == "" || len(o.Holder) > maxStorageHolder || !utf8.ValidString(o.Holder) || strings.ContainsFunc(o.Holder, unicode.IsControl) {
			return refuse("%.200q is no holder of a lock", o.Holder)
		}
		if o.Verb == StorageLock && (o.Lease <= 0 || o.Lease > MaxStorageLease) {
			return refuse("a lease of %s: it must be at most %s", o.Lease, MaxStorageLease)
		}
	default:
		return refuse("%.200q is no verb", o.Verb)
	}
	switch {
	case o.Key == "":
		return refuse("a key is missing")
	case len(o.Value) > MaxStorageValue:
		return refuse("the value of %s has %d bytes: at most %d are permitted", o.Key, len(o.Value), MaxStorageValue)
	}
	return nil
}
