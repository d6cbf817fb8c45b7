package crash

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lastLogged bounds what of a part's log is printed, in bytes.
const lastLogged = 4 << 10

// logSizes returns how long the log of each part of the rig is, by its path.
func (r *rig) logSizes() map[string]int64 {
	sizes := map[string]int64{}
	_ = filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".log") {
			if info, err := entry.Info(); err == nil {
				sizes[path] = info.Size()
			}
		}
		return nil // a file that has gone is no log of a part
	})
	return sizes
}

// loggedSince returns the end of what each part has logged since its log was that long.
func (r *rig) loggedSince(before map[string]int64) string {
	var text strings.Builder
	now := r.logSizes()
	for _, path := range slices.Sorted(maps.Keys(now)) {
		from := max(before[path], now[path]-lastLogged)
		if from >= now[path] {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		end, _ := io.ReadAll(io.NewSectionReader(file, from, now[path]-from))
		_ = file.Close()
		fmt.Fprintf(&text, "--- %s\n%s\n", strings.TrimPrefix(path, r.dir+"/"), strings.TrimSpace(string(end)))
	}
	return text.String()
}

func TestAWrongCaseShowsWhatPartsLogged(t *testing.T) {
	r := &rig{dir: t.TempDir()}
	require.NoError(t, os.Mkdir(r.path("podman"), 0o755))
	for name, text := range map[string]string{"worker.log": "before\n", "podman/podman.log": "", "silent.log": "before\n", "mcp.toml": "no log"} {
		require.NoError(t, os.WriteFile(r.path(name), []byte(text), 0o600))
	}
	before := r.logSizes()
	long := strings.Repeat("x", lastLogged-len("the end"))
	require.NoError(t, os.WriteFile(r.path("worker.log"), []byte("before\nafter\n"), 0o600))
	require.NoError(t, os.WriteFile(r.path("podman/podman.log"), []byte("the beginning"+long+"the end"), 0o600))
	require.Equal(t, "--- podman/podman.log\n"+long+"the end\n--- worker.log\nafter\n", r.loggedSince(before))
}
