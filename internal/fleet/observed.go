package fleet

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Observed are the containers of an observation. They travel compressed: every
// container of a node is observed twice a minute, and Temporal keeps each answer.
type Observed []Container

// packers are reused: a new one takes 800 KB.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// maxUnpacked bounds what is unpacked, in bytes: a thousand containers have half a
// megabyte, and what is sent could unpack to gigabytes.
const maxUnpacked = 64 << 20

// MarshalJSON writes a string: the compressed JSON of the list, in base64.
func (o Observed) MarshalJSON() ([]byte, error) {
	var packed bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if err := json.NewEncoder(w).Encode([]Container(o)); err != nil {
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
	var list []Container
	if err := json.NewDecoder(io.LimitReader(r, maxUnpacked)).Decode(&list); err != nil {
		return fmt.Errorf("unpack containers: %w", err)
	}
	*o = list
	return r.Close()
}
