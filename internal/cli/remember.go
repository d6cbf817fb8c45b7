package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// What a completion remembers is fresh for rememberFor: who presses Tab, presses
// it several times. Then, and for lastsFor, it is offered once more while the
// live system is asked anew, by a process that nobody waits for.
const (
	rememberFor = 20 * time.Second
	lastsFor    = 24 * time.Hour
)

// askAnew tells a process, by this variable in its environment, that it was
// started to learn what a completion offers next.
const askAnew = "MCP_COMPLETION_ASKS"

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

// recall finds what was remembered under a key, and says whether that was a
// moment ago.
func (a *App) recall(key string, out any) (found, fresh bool) {
	file := a.memoryOf(key)
	info, err := os.Stat(file)
	if err != nil {
		return false, false
	}
	age := time.Since(info.ModTime())
	if age < 0 || age > lastsFor {
		return false, false
	}
	text, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(text, out) == nil, age <= rememberFor
}

// askLater has another process ask what is remembered under a key, unless one
// was started to a moment ago.
func (a *App) askLater(key string) {
	key += ", asked"
	var asked bool
	if _, fresh := a.recall(key, &asked); fresh {
		return
	}
	a.remember(key, true)
	a.AskLater()
}

// again runs this process's command line once more, in a process that outlives
// it, to learn what the live system says. A completion is silent, and so is
// that it could not be.
func again() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	next := exec.CommandContext(context.Background(), program, os.Args[1:]...)
	next.Env = append(os.Environ(), askAnew+"=1")
	next.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = next.Start()
}

// remember keeps something under a key. Where it cannot, the next completion
// asks again.
func (a *App) remember(key string, what any) {
	file := a.memoryOf(key)
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	if text, err := json.Marshal(what); err == nil {
		_ = renameio.WriteFile(file, text, 0o600, renameio.WithTempDir(filepath.Dir(file)))
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
