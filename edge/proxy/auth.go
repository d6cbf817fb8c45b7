package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// users are those that a route admits.
type users struct {
	hashes map[string]string
	// unknown is the hash to compare with if the user does not exist: one of the same
	// cost, of no password.
	unknown string
}

// newUsers returns the users of a route; nil if everyone is admitted. A user whose hash
// is invalid, or costs too much, is not admitted.
func newUsers(hashes map[string]string) *users {
	if len(hashes) == 0 {
		return nil
	}
	u, most := &users{hashes: map[string]string{}}, bcrypt.MinCost
	for user, hash := range hashes {
		if cost, err := bcrypt.Cost([]byte(hash)); err == nil && cost <= costMost {
			u.hashes[user], most = hash, max(most, cost)
		}
	}
	u.unknown = fmt.Sprintf("$2a$%02d$%s", most, noPassword)
	return u
}

// noPassword is a salt and a hash that no password is known to have.
const noPassword = "abcdefghijklmnopqrstuu" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcde"

const (
	// costMost is the greatest cost of a hash that is compared with: about two seconds.
	costMost = 15
	// passwordMost is the length of the longest password that is compared.
	passwordMost = 1 << 10
	// outcomesMost is how many outcomes are cached.
	outcomesMost = 4096
	// comparingMost is how many requests wait for a comparison.
	comparingMost = 256
)

// passwords caches which passwords are right. A comparison takes a processor for a
// while, on purpose; few run at once, and the outcome is cached under a hash with a key
// of this process.
type passwords struct {
	key     [32]byte
	turns   chan struct{}
	waiting chan struct{}

	mu       sync.Mutex
	outcomes map[[sha256.Size]byte]bool
}

func newPasswords() *passwords {
	p := &passwords{
		turns:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		waiting:  make(chan struct{}, comparingMost),
		outcomes: map[[sha256.Size]byte]bool{},
	}
	_, _ = rand.Read(p.key[:]) // it never fails
	return p
}

// admit requires the user and password that a route asks for.
func (e *exchange) admit(r *route) error {
	if r.auth == nil {
		return nil
	}
	if user, password, given := e.in.BasicAuth(); given && len(password) <= passwordMost {
		hash, known := r.auth.hashes[user]
		if !known {
			hash = r.auth.unknown
		}
		right, err := e.turn.proxy.passwords.compare(e.in.Context(), hash, password)
		if err != nil {
			return err
		}
		if right && known {
			return nil
		}
	}
	return &answer{status: 401, text: "A user and a password are needed.", realm: e.host}
}

// compare reports whether a password has a hash. It returns an error if too many
// passwords wait to be compared.
func (p *passwords) compare(ctx context.Context, hash, password string) (bool, error) {
	mac := hmac.New(sha256.New, p.key[:])
	_, _ = fmt.Fprintf(mac, "%d %s%s", len(hash), hash, password)
	key := [sha256.Size]byte(mac.Sum(nil))
	if right, ok := p.outcome(key); ok {
		return right, nil
	}
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return false, busy
	}
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if right, ok := p.outcome(key); ok { // another request has asked meanwhile
		return right, nil
	}
	right := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.outcomes) >= outcomesMost {
		clear(p.outcomes)
	}
	p.outcomes[key] = right
	return right, nil
}

func (p *passwords) outcome(key [sha256.Size]byte) (right, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	right, known = p.outcomes[key]
	return right, known
}
