package cli

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// rememberFor is how long a completion offers what the live system has said
// before it asks again: who presses Tab, presses it several times.
const rememberFor = 20 * time.Second

// memory is the directory with what completions have learnt; "" where there is
// no place for one.
func (a *App) memory() string {
	if dir := a.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mcp", "completions")
	}
	if home := a.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "mcp", "completions")
	}
	return ""
}

// recall finds what was remembered under a key, if that was a moment ago.
func (a *App) recall(key string, out any) bool {
	file := a.memoryOf(key)
	info, err := os.Stat(file)
	if err != nil {
		return false
	}
	if age := time.Since(info.ModTime()); age < 0 || age > rememberFor {
		return false
	}
	text, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(text, out) == nil
}

// remember keeps something under a key. Where it cannot, the next completion
// asks again.
func (a *App) remember(key string, what any) {
	file := a.memoryOf(key)
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	if text, err := json.Marshal(what); err == nil {
		_ = replaceFile(file, text, 0o600)
	}
}

// forget drops all that was remembered: what is done now may change it.
func (a *App) forget() {
	if dir := a.memory(); dir != "" {
		_ = os.RemoveAll(dir)
	}
}

func (a *App) memoryOf(key string) string {
	dir := a.memory()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(key))))
}
