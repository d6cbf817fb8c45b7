package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

func TestStorageOperationsAreChecked(t *testing.T) {
	for name, o := range map[string]fleet.StorageOperation{
		"no verb":             {Key: "a"},
		"no key":              {Verb: fleet.StorageDelete},
		"a long key":          {Verb: fleet.StorageLoad, Key: strings.Repeat("a", fleet.MaxStorageKey+1)},
		"a control character": {Verb: fleet.StorageLoad, Key: "a\x00"},
		"a large value":       {Verb: fleet.StorageStore, Key: "a", Value: make([]byte, fleet.MaxStorageValue+1)},
		"no holder":           {Verb: fleet.StorageLock, Key: "a", Lease: time.Second},
		"no lease":            {Verb: fleet.StorageLock, Key: "a", Holder: "h"},
		"a long lease":        {Verb: fleet.StorageLock, Key: "a", Holder: "h", Lease: 2 * fleet.MaxStorageLease},
	} {
		_, err := o.Proven("berlin", []byte("secret"), time.Now())
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, name)
	}
	_, err := fleet.StorageOperation{Verb: fleet.StorageList}.Proven("berlin", []byte("secret"), time.Now())
	require.NoError(t, err)
}

func TestAStorageRequestIsProven(t *testing.T) {
	now := time.Now()
	asked := fleet.StorageOperation{Verb: fleet.StorageStore, Key: "a", Value: []byte("x")}
	r, err := asked.Proven("berlin", []byte("secret"), now)
	require.NoError(t, err)
	got, err := r.Open([]byte("secret"), now.Add(-fleet.StorageProofTime/2))
	require.NoError(t, err)
	require.Equal(t, "x", string(got.Value))
	for name, open := range map[string]func() error{
		"another secret": func() error { _, err := r.Open([]byte("other"), now); return err },
		"no secret":      func() error { _, err := r.Open(nil, now); return err },
		"too early":      func() error { _, err := r.Open([]byte("secret"), now.Add(-2*fleet.StorageProofTime)); return err },
		"too late":       func() error { _, err := r.Open([]byte("secret"), now.Add(2*fleet.StorageProofTime)); return err },
		"another edge": func() error {
			other := r
			other.Edge = "lisbon"
			_, err := other.Open([]byte("secret"), now)
			return err
		},
	} {
		require.Equal(t, fault.Unauthorized, fault.Of(open()).Kind, name)
	}
}
