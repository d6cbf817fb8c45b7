package threat

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canaries are values for channels of secrets, and what was found of them. All values
// begin alike, so that one search finds each.
type canaries struct {
	prefix  string
	values  map[string]string // by channel
	needles [][]byte          // the prefix as text, in hex and in base64
	others  map[string][]byte // values that mcp itself has made, by channel

	mu    sync.Mutex
	found map[string]map[string]string // by place and channel: what is around the value
	bytes map[string]int64             // that were searched, by place
}

func newCanaries() *canaries {
	random := make([]byte, 6)
	_, _ = rand.Read(random)
	c := &canaries{prefix: "Cnry" + hex.EncodeToString(random), values: map[string]string{}, others: map[string][]byte{}, found: map[string]map[string]string{}, bytes: map[string]int64{}}
	c.needles = [][]byte{[]byte(c.prefix), []byte(hex.EncodeToString([]byte(c.prefix)))}
	for shift, cut := range []int{0, 2, 3} {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), c.prefix...))
		if (shift+len(c.prefix))%3 != 0 {
			text = text[:len(text)-1]
		}
		c.needles = append(c.needles, []byte(text[cut:]))
	}
	return c
}

// value returns the value of a channel.
func (c *canaries) value(channel string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values[channel] == "" {
		random := make([]byte, 4)
		_, _ = rand.Read(random)
		c.values[channel] = c.prefix + strings.ToUpper(channel[:1]) + strings.ReplaceAll(channel[1:], " ", "") + hex.EncodeToString(random)
	}
	return c.values[channel]
}

// watch has the search find a file's private key, which does not begin like a value.
func (c *canaries) watch(channel string, file []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range bytes.Lines(file) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			c.others[channel] = bytes.Clone(line)
		}
	}
}

// look searches a text of a place.
func (c *canaries) look(place, of string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes[place] += int64(len(text))
	if c.found[place] == nil {
		c.found[place] = map[string]string{}
	}
	for i, needle := range c.needles {
		for rest := text; ; {
			at := bytes.Index(rest, needle)
			if at < 0 {
				break
			}
			around := rest[max(0, at-60):min(len(rest), at+len(needle)+60)]
			c.found[place][c.channel(rest[at:], i)] = fmt.Sprintf("%s: …%q…", of, around)
			rest = rest[at+len(needle):]
		}
	}
	for channel, needle := range c.others {
		if bytes.Contains(text, needle) {
			c.found[place][channel] = of
		}
	}
}

// channel returns the channel of a value that was found; its needle, if it is encoded.
func (c *canaries) channel(text []byte, needle int) string {
	for channel, value := range c.values {
		encoded := []string{value, hex.EncodeToString([]byte(value))}
		if needle < len(encoded) && bytes.HasPrefix(text, []byte(encoded[needle])) {
			return channel
		}
	}
	return "in base64, or cut"
}

// planted is the channel whose value is put into every place, to prove that the search
// finds it there.
const planted = "planted"

// report fails for each place where the planted value was not found, and for each value
// that was, and prints the figure.
func (c *canaries) report(t *testing.T, places []string) {
	t.Helper()
	leaked, searched := 0, int64(0)
	for _, place := range places {
		if _, seen := c.found[place][planted]; !seen {
			t.Errorf("%s: the value that was planted there was not found among %d bytes", place, c.bytes[place])
		}
	}
	for _, place := range slices.Sorted(maps.Keys(c.found)) {
		searched += c.bytes[place]
		for _, channel := range slices.Sorted(maps.Keys(c.found[place])) {
			if channel != planted {
				leaked++
				t.Errorf("%s: %s: %s", place, channel, c.found[place][channel])
			}
		}
	}
	channels := slices.DeleteFunc(slices.Concat(slices.Collect(maps.Keys(c.values)), slices.Collect(maps.Keys(c.others))), func(channel string) bool { return channel == planted })
	slices.Sort(channels)
	t.Logf("canaries: %d found, of %d channels for secrets in %d places (%d MB)\nchannels: %s\nplaces: %s",
		leaked, len(channels), len(places), searched>>20, strings.Join(channels, ", "), strings.Join(places, ", "))
}

// lookAtProcesses searches the arguments and the environment of every process of this
// machine until the test ends; environments only of those outside of containers, which have
// their secrets there.
func (c *canaries) lookAtProcesses(t *testing.T) {
	t.Helper()
	here, err := os.Readlink("/proc/self/ns/pid")
	require.NoError(t, err)
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			pids, _ := filepath.Glob("/proc/[0-9]*")
			for _, dir := range pids {
				if arguments, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
					c.look("arguments of processes", dir, arguments)
				}
				if namespace, err := os.Readlink(filepath.Join(dir, "ns", "pid")); err != nil || namespace != here {
					continue
				}
				if environment, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil {
					c.look("environments of processes", dir, environment)
				}
			}
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(ended); <-stopped })
}

// lookAtFiles searches the files below a directory, except those below the ones that may
// hold values.
func (c *canaries) lookAtFiles(t *testing.T, dir string, except ...string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil, slices.Contains(except, path):
			if entry != nil && entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		if strings.HasPrefix(entry.Name(), "core.") || entry.Name() == "core" {
			c.look("core dumps", path, read(path))
		}
		c.look("files and logs", path, read(path))
		return nil
	}))
}

// read returns a file; nothing if it has just gone.
func read(path string) []byte {
	text, _ := os.ReadFile(path)
	return text
}

// The search finds a value in each form in which it could rest.
func TestTheSearchForCanariesFindsThem(t *testing.T) {
	c := newCanaries()
	for i, channel := range []string{"a password", "another"} {
		value := c.value(channel)
		for form, text := range map[string]string{
			"text": value, "hex": hex.EncodeToString([]byte(value)), "json": strconv.Quote("x=" + value),
			"base64":              base64.StdEncoding.EncodeToString([]byte(value)),
			"base64, one further": base64.StdEncoding.EncodeToString([]byte("u" + value)),
			"base64, two further": base64.URLEncoding.EncodeToString([]byte("u:" + value + "@")),
		} {
			place := fmt.Sprint(form, i)
			c.look(place, form, []byte("before "+text+" behind"))
			require.Len(t, c.found[place], 1, form)
			if !strings.HasPrefix(form, "base64") {
				require.Contains(t, c.found[place], channel)
			}
		}
	}
	c.watch("a key", []byte("# made today\nAGE-SECRET-KEY-1X\n"))
	c.look("a file", "", []byte("key=AGE-SECRET-KEY-1X"))
	require.Contains(t, c.found["a file"], "a key")
	c.look("nothing", "", []byte("Cnry made today"))
	require.Empty(t, c.found["nothing"])
}
