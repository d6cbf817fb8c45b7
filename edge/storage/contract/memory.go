package contract

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/edge/storage"
)

// Memory is a Remote in memory.
type Memory struct {
	mu     sync.Mutex
	values map[string]value
	locks  map[string]lease
}

type value struct {
	bytes    []byte
	modified time.Time
}

type lease struct {
	holder string
	until  time.Time
}

// NewMemory returns an empty Remote.
func NewMemory() *Memory {
	return &Memory{values: map[string]value{}, locks: map[string]lease{}}
}

// Load returns the value of a key.
func (m *Memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return bytes.Clone(v.bytes), nil
}

// Store sets the value of a key.
func (m *Memory) Store(_ context.Context, key string, v []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value{bytes.Clone(v), time.Now()}
	return nil
}

// Replace sets the value of a key if it has the former one.
func (m *Memory) Replace(_ context.Context, key string, former, v []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now, ok := m.values[key]; !ok || !bytes.Equal(now.bytes, former) {
		return false, nil
	}
	m.values[key] = value{bytes.Clone(v), time.Now()}
	return true, nil
}

// Delete removes a key, and those below it.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.values {
		if below(k, key) {
			delete(m.values, k)
		}
	}
	return nil
}

// List returns a key and those below it.
func (m *Memory) List(_ context.Context, key string) ([]storage.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []storage.Entry
	for k, v := range m.values {
		if below(k, key) {
			all = append(all, storage.Entry{Key: k, Size: int64(len(v.bytes)), Modified: v.modified})
		}
	}
	slices.SortFunc(all, func(a, b storage.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

func below(key, of string) bool {
	return of == "" || key == of || strings.HasPrefix(key, of+"/")
}

// Lock takes or prolongs a lock.
func (m *Memory) Lock(_ context.Context, name, holder string, lasts time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.locks[name]; l.holder != "" && l.holder != holder && time.Now().Before(l.until) {
		return false, nil
	}
	m.locks[name] = lease{holder, time.Now().Add(lasts)}
	return true, nil
}

// Unlock frees a lock.
func (m *Memory) Unlock(_ context.Context, name, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name].holder == holder {
		delete(m.locks, name)
	}
	return nil
}
