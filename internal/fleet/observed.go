package fleet

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"sync"
)

// Observed are the containers of a look at a node. They travel compressed: a
// node is looked at twice a minute, at all that it has, and Temporal keeps what
// each look has sent.
type Observed []ObservedContainer

// packers are kept: a new one takes 800 KB.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// MarshalJSON writes a string: the compressed JSON of the list, in base64.
func (o Observed) MarshalJSON() ([]byte, error) {
	var packed bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if err := json.NewEncoder(w).Encode([]ObservedContainer(o)); err != nil {
		return nil, fmt.Errorf("pack %d containers: %w", len(o), err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack %d containers: %w", len(o), err)
	}
	return json.Marshal(packed.Bytes())
}

// UnmarshalJSON reads what MarshalJSON has written.
func (o *Observed) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return fmt.Errorf("unpack containers: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("unpack containers: %w", err)
	}
	var list []ObservedContainer
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		return fmt.Errorf("unpack containers: %w", err)
	}
	*o = list
	return r.Close()
}
