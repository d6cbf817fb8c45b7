package session

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/metacircular/mcp/internal/config"
)

// What a completion remembers is fresh for freshFor: the key is often pressed
// several times. After that, and for keptFor, it is offered once more while another
// process asks the live system.
const (
	freshFor = 20 * time.Second
	keptFor  = 24 * time.Hour
)

// A completion asks the live system for askTimeout at most, because an operator has
// pressed a key; a process of AskLater for laterTimeout.
const (
	askTimeout   = 800 * time.Millisecond
	laterTimeout = 10 * time.Second
)

// AskingLater is the environment variable that marks a process of AskLater.
const AskingLater = "MCP_COMPLETION_ASKS"

// Remembered returns what is remembered of the live system under a name, or learns
// it. Asking costs as much as all the rest of a completion. So AskLater asks, while an
// old answer is returned or, if others is set, no answer: the caller then has others
// to offer. What cannot be learnt in time is left out.
func Remembered[T any](ctx context.Context, s *Session, cfg *config.Config, name string, others bool, learn func(context.Context) (T, error)) (answer T) {
	options, err := cfg.TemporalOptions()
	if err != nil {
		return answer
	}
	key := fmt.Sprintf("%q %q %s", options.HostPort, options.Namespace, name)
	found, fresh := s.recall(key, &answer)
	timeout := askTimeout
	switch {
	case s.Getenv(AskingLater) != "":
		timeout = laterTimeout
	case fresh:
		return answer
	case (found || others) && s.AskLater != nil:
		s.askLater(key)
		return answer
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	learnt, err := learn(ctx)
	if err != nil {
		return answer
	}
	s.remember(key, learnt)
	return learnt
}

// Forget drops all that is remembered, because this command may change it.
func (s *Session) Forget() {
	if dir := s.memory(); dir != "" {
		_ = os.RemoveAll(dir)
	}
}

// askLater has another process learn what belongs to a key, unless one was started
// within freshFor.
func (s *Session) askLater(key string) {
	key += ", asked"
	var asked bool
	if _, fresh := s.recall(key, &asked); fresh {
		return
	}
	s.remember(key, true)
	s.AskLater()
}

// recall decodes what is remembered under a key. It reports whether it found anything,
// and whether that is fresh.
func (s *Session) recall(key string, out any) (found, fresh bool) {
	file := s.memoryOf(key)
	info, err := os.Stat(file)
	if err != nil {
		return false, false
	}
	age := time.Since(info.ModTime())
	if age < 0 || age > keptFor {
		return false, false
	}
	text, err := os.ReadFile(file)
	found = err == nil && json.Unmarshal(text, out) == nil
	return found, found && age <= freshFor
}

// remember keeps something under a key. If it cannot, the next completion asks again.
func (s *Session) remember(key string, what any) {
	file := s.memoryOf(key)
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	if text, err := json.Marshal(what); err == nil {
		_ = renameio.WriteFile(file, text, 0o600, renameio.WithTempDir(filepath.Dir(file)))
	}
}

// memoryOf returns the file of a key; "" if there is no directory for it.
func (s *Session) memoryOf(key string) string {
	dir := s.memory()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(key))))
}

// memory returns the directory of what completions remember; "" for none.
func (s *Session) memory() string {
	if dir := s.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mcp", "completions")
	}
	if home := s.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "mcp", "completions")
	}
	return ""
}
