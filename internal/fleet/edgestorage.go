package fleet

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"time"
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
	// Edge, At and Nonce make the proof of a request valid for this request alone.
	Edge  string    `json:"edge"`
	At    time.Time `json:"at"`
	Nonce string    `json:"nonce"`

	Verb StorageVerb `json:"verb"`
	// Key is that of a value, or the name of a lock. List returns this key and those
	// below it; all keys if it is "".
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
	// Value is the one that was loaded; Missing reports whether there is none.
	Value   []byte `json:"value,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	// Done reports whether a value was replaced, or the edge has the lock.
	Done bool `json:"done,omitempty"`
	// Entries are those of a list, sorted; More reports whether others follow.
	Entries []StorageEntry `json:"entries,omitempty"`
	More    bool           `json:"more,omitempty"`
}

// StorageEntry describes the value of a key.
type StorageEntry struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// Proven returns the request of an edge for an operation, with the proof that it has its
// secret.
func (o StorageOperation) Proven(edge string, secret []byte, now time.Time) (StorageRequest, error) {
	o.Edge, o.At, o.Nonce = edge, now.UTC(), rand.Text()
	text, err := json.Marshal(o)
	if err != nil {
		return StorageRequest{}, err
	}
	return StorageRequest{Edge: edge, Operation: text, Proof: StorageProof(secret, text)}, nil
}

// StorageProof returns the proof of an operation in JSON.
func StorageProof(secret, text []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("mcp edge storage\n"))
	h.Write(text)
	return h.Sum(nil)
}
