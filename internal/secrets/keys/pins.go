package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// FileName is the name of the file of pinned keys, beside the services directory.
const FileName = "mcp.keys.toml"

// maxPins bounds the file, in bytes.
const maxPins = 1 << 20

// Pins are the keys to which secrets are sealed, as the file at Path has them.
type Pins struct {
	Path string
	// Nodes are the keys of nodes, Builders those of builders, and Recovery those of recovery,
	// by name.
	Nodes, Builders, Recovery map[string]seal.Key
}

// The tables of the file.
const (
	TableNodes    = "nodes"
	TableBuilders = "builders"
	tableRecovery = "recovery"
)

func noPins(path string) Pins {
	return Pins{Path: path, Nodes: map[string]seal.Key{}, Builders: map[string]seal.Key{}, Recovery: map[string]seal.Key{}}
}

// pinned is the form of the file.
type pinned struct {
	Nodes    map[string]string `toml:"nodes"`
	Builders map[string]string `toml:"builders"`
	Recovery map[string]string `toml:"recovery"`
}

// ReadPins reads the file at path. Without such a file there are no pins. A mistake in it is
// an Invalid error that names the line.
func ReadPins(path string) (Pins, error) {
	p := noPins(path)
	text, err := readText(path)
	if err != nil {
		return p, err
	}
	return p, p.parse(text)
}

func readText(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read the pinned keys")
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPins+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read the pinned keys in %s", path)
	}
	if len(text) > maxPins {
		return nil, fault.New(fault.Invalid, "%s: more than %d KiB are not a file of pinned keys", path, maxPins>>10)
	}
	return text, nil
}

// parse reads the text of the file.
func (p Pins) parse(text []byte) error {
	var file pinned
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&file); err != nil {
		return located(p.Path, err)
	}
	for _, table := range []struct {
		name string
		from map[string]string
		into map[string]seal.Key
	}{{TableNodes, file.Nodes, p.Nodes}, {TableBuilders, file.Builders, p.Builders}, {tableRecovery, file.Recovery, p.Recovery}} {
		for _, name := range slices.Sorted(maps.Keys(table.from)) {
			key, err := seal.ParseKey(table.from[name])
			if err == nil && !servicedef.IsLabel(name) {
				err = fmt.Errorf("%q is no name: use lower-case letters, digits and hyphens", name)
			}
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "%s%s: %s.%s", p.Path, lineOf(text, table.name, name), table.name, name)
			}
			table.into[name] = key
		}
	}
	return nil
}

// located adds the line to a mistake in the file.
func located(path string, err error) error {
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown) && len(unknown.Errors) > 0:
		line, _ := unknown.Errors[0].Position()
		return fault.New(fault.Invalid, "%s:%d: %s: unknown key; the file has [nodes], [builders] and [recovery], each with lines NAME = \"age1…\"",
			path, line, strings.Join(unknown.Errors[0].Key(), "."))
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return fault.New(fault.Invalid, "%s:%d: %s", path, line, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return fault.Wrap(fault.Invalid, err, "%s", path)
}

// lineOf returns ":N" of the line that sets a name in a table; "" if it is not found.
func lineOf(text []byte, table, name string) string {
	in := ""
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if head, ok := header(line); ok {
			in = head
		}
		if key, _, ok := strings.Cut(line, "="); ok && in == table && strings.Trim(strings.TrimSpace(key), `"'`) == name {
			return fmt.Sprintf(":%d", i+1)
		}
	}
	return ""
}

// header returns the name of the table that a line begins.
func header(line string) (string, bool) {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "[") || !strings.HasSuffix(line, "]") {
		return "", false
	}
	return strings.TrimSpace(strings.Trim(line, "[]")), true
}

// Recoveries are the recovery keys as recipients, by name.
func (p Pins) Recoveries() []secrets.Recipient {
	var all []secrets.Recipient
	for _, name := range slices.Sorted(maps.Keys(p.Recovery)) {
		all = append(all, secrets.Recipient{Name: name, Recovery: true, Key: p.Recovery[name]})
	}
	return all
}

// Check returns an error if a node, or a builder, must not be trusted with a key: another one
// is pinned for it in that table. IsNew reports whether none is pinned.
func (p Pins) Check(table, name string, key seal.Key) (isNew bool, err error) {
	pins, what := p.Nodes, "node"
	if table == TableBuilders {
		pins, what = p.Builders, "builder"
	}
	pin, found := pins[name]
	if !found || pin == key {
		return !found, nil
	}
	f := fault.New(fault.Unauthorized, "%s %s announces another key than the pinned one: its fingerprint is %s, not %s", what, name, key.Fingerprint(), pin.Fingerprint()).
		WithHint("find out why: a %[1]s that was set up again has a new key, and so has a machine that takes its name. If the new key is right, delete the line %[2]s under [%[3]s] in %[4]s, and repeat this command", what, name, table, p.Path)
	if table == TableNodes {
		f.Node = name
	}
	return false, f
}

const newFile = `# The keys to which mcp secret set seals values. Keep this file in version control: a key
# that changes here is a change to who can read the secrets of services.
`

// Pin adds the keys of nodes or of builders to a table of the file, and leaves the rest of
// the file as it is. Another key under the name of one of them is Unauthorized, as in Check.
func Pin(path, table string, keys map[string]seal.Key) error {
	return edit(path, func(p Pins, text string) (string, error) {
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			isNew, err := p.Check(table, name, keys[name])
			if err != nil {
				return "", err
			}
			if isNew {
				text = inserted(text, table, name, keys[name])
			}
		}
		return text, nil
	})
}

// PinRecovery adds a recovery key to the file. Another key of that name is a Conflict.
func PinRecovery(path, name string, key seal.Key) error {
	if !servicedef.IsLabel(name) {
		return fault.New(fault.Invalid, "%.80q is no name of a recovery key", name).WithHint("use lower-case letters, digits and hyphens")
	}
	return edit(path, func(p Pins, text string) (string, error) {
		switch pin, found := p.Recovery[name]; {
		case found && pin != key:
			return "", fault.New(fault.Conflict, "%s has another recovery key called %s", path, name).WithHint("choose another name: --name NAME")
		case found:
			return text, nil
		}
		return inserted(text, tableRecovery, name, key), nil
	})
}

// inserted returns the text with a line at the end of a table, which is added if it is
// missing.
func inserted(text, table, name string, key seal.Key) string {
	line := fmt.Sprintf("%s = %q", name, key)
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	begin := slices.IndexFunc(lines, func(line string) bool { head, ok := header(line); return ok && head == table })
	if begin < 0 {
		return strings.TrimLeft(strings.Join(append(lines, "", "["+table+"]", line), "\n")+"\n", "\n")
	}
	end := begin + 1
	for i := begin + 1; i < len(lines); i++ {
		if _, ok := header(lines[i]); ok {
			break
		}
		if strings.TrimSpace(lines[i]) != "" {
			end = i + 1
		}
	}
	return strings.Join(slices.Insert(lines, end, line), "\n") + "\n"
}

// edit replaces the file with what change makes of it, one process at a time.
func edit(path string, change func(Pins, string) (string, error)) error {
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "lock %s", filepath.Dir(path))
	}
	defer unlock()
	p, err := ReadPins(path)
	if err != nil {
		return err
	}
	before, err := readText(path)
	if err != nil {
		return err
	}
	text := string(before)
	if text == "" {
		text = newFile
	}
	after, err := change(p, text)
	if err != nil || after == text {
		return err
	}
	if err := noPins(path).parse([]byte(after)); err != nil {
		return err // such as a table in a notation to which no line can be added
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := renameio.WriteFile(path, []byte(after), 0o644, renameio.WithExistingPermissions(), renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fault.Wrap(fault.Invalid, err, "write the pinned keys to %s", path)
	}
	return nil
}

// How long an edit waits for another one, which takes milliseconds.
const (
	lockTime  = 10 * time.Second
	lockPause = 20 * time.Millisecond
)

// lock locks a directory against other processes that edit a file in it.
func lock(path string) (unlock func(), err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockTime); ; time.Sleep(lockPause) {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			_ = dir.Close()
			return nil, err
		}
	}
}
