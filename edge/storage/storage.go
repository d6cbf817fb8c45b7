package storage

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
)

// Options configure a Storage.
type Options struct {
	Remote   Remote
	Identity *seal.Identity
	// Keys returns the keys of the admitted edges.
	Keys func(ctx context.Context) ([]seal.Key, error)
	// Lease is how long a lock outlives the process that holds it. Default 30 s.
	Lease time.Duration
	Log   *slog.Logger
}

// Storage is a certmagic.Storage over a Remote. Its methods may be called concurrently.
type Storage struct {
	options Options
	holder  string

	mu   sync.Mutex
	held map[string]context.CancelFunc // ends the prolonging of a lock, by name
}

var _ certmagic.Storage = (*Storage)(nil)

// New returns a storage that opens values with the identity.
func New(o Options) *Storage {
	o.Lease = cmp.Or(o.Lease, 30*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return &Storage{options: o, holder: rand.Text(), held: map[string]context.CancelFunc{}}
}

// envelope is a value as the Remote stores it.
type envelope struct {
	// Keys are those to which the value is sealed, sorted.
	Keys   []seal.Key `json:"keys"`
	Sealed []byte     `json:"sealed"`
}

// subject names a value for package seal.
func subject(key string) string { return "edge-storage/" + key }

// keys returns those of the admitted edges, sorted.
func (s *Storage) keys(ctx context.Context) ([]seal.Key, error) {
	keys, err := s.options.Keys(ctx)
	if err != nil {
		return nil, err
	}
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b seal.Key) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(keys), nil
}

func enclose(key string, value []byte, keys []seal.Key) ([]byte, error) {
	sealed, err := seal.Seal(subject(key), value, keys...)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Keys: keys, Sealed: sealed})
}

// Store seals a value to the keys of all edges, and stores it.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	keys, err := s.keys(ctx)
	if err != nil {
		return err
	}
	stored, err := enclose(key, value, keys)
	if err != nil {
		return err
	}
	return s.options.Remote.Store(ctx, key, stored)
}

// Load returns the value of a key. The error wraps fs.ErrNotExist if there is none, or
// if it is sealed to the keys of removed edges alone, so that no edge can read it any
// more. It is Unauthorized while the value is sealed to other edges' keys.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	stored, err := s.options.Remote.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, key, stored)
}

func (s *Storage) open(ctx context.Context, key string, stored []byte) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(stored, &e); err != nil {
		return nil, fault.New(fault.Invalid, "%s in the storage of certificates is damaged", key)
	}
	if slices.Contains(e.Keys, s.options.Identity.Key()) {
		return s.options.Identity.Open(subject(key), e.Sealed)
	}
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(keys, func(k seal.Key) bool { return slices.Contains(e.Keys, k) }) {
		return nil, fmt.Errorf("%s is sealed to the keys of removed edges: %w", key, fs.ErrNotExist)
	}
	return nil, fault.New(fault.Unauthorized, "%s in the storage of certificates is not sealed to this edge's key yet", key).
		WithHint("another edge seals it anew when it runs and has learned that this one is admitted")
}

// Reseal seals every value to the keys of all edges, if it is sealed to others and this
// edge can open it. An edge calls it when the keys change.
func (s *Storage) Reseal(ctx context.Context) error {
	keys, err := s.keys(ctx)
	if err != nil {
		return err
	}
	entries, err := s.options.Remote.List(ctx, "")
	if err != nil {
		return err
	}
	var failed []error
	for _, entry := range entries {
		if err := s.reseal(ctx, entry.Key, keys); err != nil {
			failed = append(failed, fmt.Errorf("seal %s anew: %w", entry.Key, err))
		}
	}
	return errors.Join(failed...)
}

func (s *Storage) reseal(ctx context.Context, key string, keys []seal.Key) error {
	stored, err := s.options.Remote.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(stored, &e); err != nil || slices.Equal(e.Keys, keys) || !slices.Contains(e.Keys, s.options.Identity.Key()) {
		return nil
	}
	value, err := s.options.Identity.Open(subject(key), e.Sealed)
	if err != nil {
		return err
	}
	sealed, err := enclose(key, value, keys)
	if err != nil {
		return err
	}
	_, err = s.options.Remote.Replace(ctx, key, stored, sealed) // false: a newer value is sealed to all
	return err
}

// Delete removes a key, and those below it.
func (s *Storage) Delete(ctx context.Context, key string) error {
	return s.options.Remote.Delete(ctx, key)
}

// Exists reports whether a key, or one below it, can be read; also false if the Remote
// does not answer.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	entries, err := s.options.Remote.List(ctx, key)
	if err != nil || len(entries) == 0 {
		return false
	}
	if entries[0].Key != key {
		return true
	}
	_, err = s.Load(ctx, key)
	return !errors.Is(err, fs.ErrNotExist)
}

// List returns the keys below a key, all of them or, unless recursive, only the next
// level. The error wraps fs.ErrNotExist if there is none.
func (s *Storage) List(ctx context.Context, key string, recursive bool) ([]string, error) {
	entries, err := s.options.Remote.List(ctx, key)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(key, "/") + "/"
	if key == "" {
		prefix = ""
	}
	var names []string
	for _, e := range entries {
		rest, below := strings.CutPrefix(e.Key, prefix)
		if !below || rest == "" {
			continue
		}
		for i, c := range rest + "/" {
			if c == '/' && (recursive || !strings.Contains(rest[:i], "/")) {
				names = append(names, prefix+rest[:i])
			}
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return names, nil
}

// Stat describes a key. The error wraps fs.ErrNotExist if neither it nor one below it
// has a value.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	entries, err := s.options.Remote.List(ctx, key)
	switch {
	case err != nil:
		return certmagic.KeyInfo{}, err
	case len(entries) == 0:
		return certmagic.KeyInfo{}, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	case entries[0].Key != key:
		return certmagic.KeyInfo{Key: key}, nil
	}
	e := entries[0]
	return certmagic.KeyInfo{Key: key, Modified: e.Modified, Size: e.Size, IsTerminal: true}, nil
}

// Lock waits for a lock of all edges. It is held until Unlock, or until a while after
// this process has died.
func (s *Storage) Lock(ctx context.Context, name string) error {
	for {
		// Two goroutines of this process must not both have it.
		s.mu.Lock()
		_, mine := s.held[name]
		if !mine {
			s.held[name] = func() {}
		}
		s.mu.Unlock()
		if !mine {
			held, err := s.options.Remote.Lock(ctx, name, s.holder, s.options.Lease)
			if held && err == nil {
				s.prolong(name)
				return nil
			}
			s.mu.Lock()
			delete(s.held, name)
			s.mu.Unlock()
			if err != nil {
				return err
			}
		}
		select {
		case <-time.After(min(time.Second, s.options.Lease/10)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// prolong keeps a lock until Unlock.
func (s *Storage) prolong(name string) {
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	s.held[name] = cancel
	s.mu.Unlock()
	go func() {
		tick := time.NewTicker(s.options.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			attempt, done := context.WithTimeout(ctx, s.options.Lease)
			held, err := s.options.Remote.Lock(attempt, name, s.holder, s.options.Lease)
			done()
			if ctx.Err() == nil && (err != nil || !held) {
				s.options.Log.Warn("a lock of the storage of certificates was not prolonged", "lock", name, "held", held, "error", err)
			}
		}
	}()
}

// Unlock frees a lock that Lock has taken.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	cancel, mine := s.held[name]
	s.mu.Unlock()
	if !mine {
		return fault.New(fault.Internal, "the lock %s is not held", name)
	}
	cancel()
	err := s.options.Remote.Unlock(ctx, name, s.holder)
	s.mu.Lock()
	delete(s.held, name)
	s.mu.Unlock()
	return err
}
