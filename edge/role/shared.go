package role

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/edge/storage"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/workflows/tend"
)

const (
	// sharedCall bounds one attempt of a request to the shared storage, and sharedTries
	// the attempts.
	sharedCall  = 15 * time.Second
	sharedTries = 3
	sharedPause = 500 * time.Millisecond
	// sharedParallel are how many requests an edge makes at once, and challengeParallel
	// how many of these look for challenges: any client can cause these.
	sharedParallel    = 8
	challengeParallel = 2
	// resealTime bounds the sealing of all values to other keys.
	resealTime = 15 * time.Minute
)

// Shared is what edges share, in the registry: a storage.Remote through workflows,
// because an edge has no access to the registry. It is Unavailable until an announcement
// was answered.
type Shared struct {
	client   client.Client
	name     string
	identity *seal.Identity
	log      *slog.Logger
	storage  *storage.Storage
	// slots and challenges bound the requests.
	slots, challenges chan struct{}

	mu      sync.Mutex
	secret  []byte
	keys    []seal.Key
	sealed  []seal.Key // those to which every value was sealed last
	sealing bool
	loads   map[string]*loading
}

var _ storage.Remote = (*Shared)(nil)

// NewShared returns the storage of an edge.
func NewShared(c client.Client, name string, identity *seal.Identity, log *slog.Logger) *Shared {
	s := &Shared{
		client: c, name: name, identity: identity, log: log, loads: map[string]*loading{},
		slots: make(chan struct{}, sharedParallel), challenges: make(chan struct{}, challengeParallel),
	}
	s.storage = storage.New(storage.Options{Remote: s, Identity: identity, Keys: s.admittedKeys, Log: log})
	return s
}

// Storage returns the storage with its values opened.
func (s *Shared) Storage() *storage.Storage { return s.storage }

// Learn takes over what the answer to an announcement says: the secret of this edge and
// the keys of all. If the keys have changed, it seals every value again, in the
// background.
func (s *Shared) Learn(answer fleet.EdgeAnswer) error {
	if !answer.Admitted {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.secret, s.keys = nil, nil
		return nil
	}
	secret, err := s.identity.Open(fleet.PassSubject(s.name), answer.Pass)
	if err != nil {
		return err
	}
	keys := make([]seal.Key, len(answer.Keys))
	for i, text := range answer.Keys {
		if keys[i], err = seal.ParseKey(text); err != nil {
			return err
		}
	}
	if !slices.Contains(keys, s.identity.Key()) {
		return fault.New(fault.Internal, "the keys of the admitted edges lack this edge's own")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret, s.keys = secret, keys
	if !s.sealing && !slices.Equal(s.sealed, keys) {
		s.sealing = true
		go s.reseal()
	}
	return nil
}

// reseal seals every value to the keys, and again if newer keys have arrived meanwhile.
// What fails is repeated at the next announcement.
func (s *Shared) reseal() {
	ctx, cancel := context.WithTimeout(context.Background(), resealTime)
	defer cancel()
	for {
		s.mu.Lock()
		keys := s.keys
		if slices.Equal(s.sealed, keys) || len(keys) == 0 {
			s.sealing = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		err := s.storage.Reseal(ctx)
		s.mu.Lock()
		if err != nil {
			s.sealing = false
			s.mu.Unlock()
			s.log.Warn("the shared certificates are not sealed to the keys of all edges; it is tried again", "error", err)
			return
		}
		s.sealed = keys
		s.mu.Unlock()
	}
}

func (s *Shared) admittedKeys(context.Context) ([]seal.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return nil, notAnswered()
	}
	return s.keys, nil
}

func notAnswered() error {
	return fault.New(fault.Unavailable, "the storage that edges share: this edge has not been admitted, or has not reached a control worker since it started")
}

// use carries out an operation. It retries a failure that may pass.
func (s *Shared) use(ctx context.Context, o fleet.StorageOperation) (answer fleet.StorageAnswer, err error) {
	for try := 1; ; try++ {
		answer, err = s.once(ctx, o)
		if err == nil || try == sharedTries || !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-time.After(sharedPause):
		case <-ctx.Done():
			return answer, err
		}
	}
}

func (s *Shared) once(ctx context.Context, o fleet.StorageOperation) (answer fleet.StorageAnswer, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
	s.mu.Lock()
	secret := s.secret
	s.mu.Unlock()
	if secret == nil {
		return answer, notAnswered()
	}
	request, err := o.Proven(s.name, secret, time.Now())
	if err != nil {
		return answer, err
	}
	wait, cancel := context.WithTimeout(ctx, sharedCall)
	defer cancel()
	run, err := s.client.ExecuteWorkflow(wait, client.StartWorkflowOptions{
		ID:                       tend.EdgeStorageID(s.name, rand.Text()),
		TaskQueue:                activities.QueueControl,
		WorkflowExecutionTimeout: 2 * sharedCall,
		StaticSummary:            "edge " + s.name + ": " + string(o.Verb) + " " + o.Key,
	}, tend.EdgeStorageName, request)
	if err != nil {
		return answer, fault.Wrap(fault.Unavailable, err, "%s %s in the storage that edges share", o.Verb, o.Key)
	}
	err = run.Get(wait, &answer)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return answer, context.Cause(ctx)
	case wait.Err() != nil, errors.As(err, new(*serviceerror.DeadlineExceeded)):
		return answer, fault.New(fault.Unavailable, "%s %s in the storage that edges share: no control worker has answered yet", o.Verb, o.Key)
	}
	f := *attempt.FaultOf(err)
	f.Message = fmt.Sprintf("%s %s in the storage that edges share: %s", o.Verb, o.Key, f.Message)
	return answer, &f
}

// Load returns the value of a key. Those who ask for one key at a time share a request
// that begins after they have asked.
func (s *Shared) Load(ctx context.Context, key string) ([]byte, error) {
	l := s.join(key)
	select {
	case <-l.done:
		return slices.Clone(l.value), l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// loading is the requests for the value of a key: the one that has begun, and the one
// that begins after it, if anyone has asked since.
type loading struct{ now, next *load }

type load struct {
	done  chan struct{}
	value []byte
	err   error
}

// join returns a request for the value of a key that has not begun.
func (s *Shared) join(key string) *load {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.loads[key]
	switch {
	case of == nil:
		of = &loading{now: &load{done: make(chan struct{})}}
		s.loads[key] = of
		go s.keepLoading(key, of)
		return of.now
	case of.next == nil:
		of.next = &load{done: make(chan struct{})}
	}
	return of.next
}

// keepLoading makes the requests for the value of a key, one after the other.
func (s *Shared) keepLoading(key string, of *loading) {
	for of.now != nil {
		of.now.value, of.now.err = s.load(key)
		close(of.now.done)
		s.mu.Lock()
		of.now, of.next = of.next, nil
		if of.now == nil {
			delete(s.loads, key)
		}
		s.mu.Unlock()
	}
}

func (s *Shared) load(key string) ([]byte, error) {
	if strings.Contains(key, "/challenge_tokens/") {
		s.challenges <- struct{}{}
		defer func() { <-s.challenges }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), sharedTries*(sharedCall+sharedPause))
	defer cancel()
	answer, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageLoad, Key: key})
	if err == nil && answer.Missing {
		err = fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return answer.Value, err
}

// Store sets the value of a key.
func (s *Shared) Store(ctx context.Context, key string, value []byte) error {
	_, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageStore, Key: key, Value: value})
	return err
}

// Replace sets the value of a key if it has the former value. False may also mean that
// the answer to a request that has replaced it was lost.
func (s *Shared) Replace(ctx context.Context, key string, former, value []byte) (bool, error) {
	sum := sha256.Sum256(former)
	answer, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageReplace, Key: key, Former: sum[:], Value: value})
	return answer.Done, err
}

// Delete removes a key, and those below it.
func (s *Shared) Delete(ctx context.Context, key string) error {
	_, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageDelete, Key: key})
	return err
}

// List returns a key, if it has a value, and those below it.
func (s *Shared) List(ctx context.Context, key string) (all []storage.Entry, err error) {
	for after := ""; ; after = all[len(all)-1].Key {
		answer, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageList, Key: key, After: after})
		if err != nil {
			return nil, err
		}
		for _, e := range answer.Entries {
			all = append(all, storage.Entry(e))
		}
		if !answer.More || len(answer.Entries) == 0 {
			return all, nil
		}
	}
}

// Lock takes a lock, or prolongs it.
func (s *Shared) Lock(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	answer, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageLock, Key: name, Holder: holder, Lease: lease})
	return answer.Done, err
}

// Unlock frees a lock.
func (s *Shared) Unlock(ctx context.Context, name, holder string) error {
	_, err := s.use(ctx, fleet.StorageOperation{Verb: fleet.StorageUnlock, Key: name, Holder: holder})
	return err
}
