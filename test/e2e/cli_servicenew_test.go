package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef/servicedir"
)

// On a terminal mcp service new asks for what is missing; a wrong answer is reported,
// and the question repeated. The definition that it writes can be deployed.
func TestServiceNewAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	require.NoError(t, os.Rename(filepath.Join(w.workspace, "src"), filepath.Join(w.workspace, "asked")))
	screen := w.terminal(120, 40, nil, "service", "new", "--node", w.node)
	for _, step := range []struct{ question, answer string }{
		{`Name of the service \[none\]:$`, ""},
		{`this has no default\nName of the service \[none\]:$`, "Not a name"},
		{`must be a DNS label.*\nName of the service \[none\]:$`, "asked"},
		{`\nImage, with a tag \[` + w.registry + `/asked:v1\]:$`, "UPPER/case::x"},
		{`is not an image reference.*\nImage.*:$`, ""},
		{`\nContainerfile to build it from \[it is not built\]:$`, "Containerfile"},
		{`\nPort that its program listens on \[the value of \$PORT\]:$`, "eighty"},
		{`"eighty" is no port\nPort.*:$`, "70000"},
		{`must be between 1 and 65535.*\nPort.*:$`, ""},
	} {
		screen.shows(w, step.question)
		screen.types(w, step.answer+"\n")
	}
	require.Zero(t, screen.code(w, time.Minute))
	require.Contains(t, screen.Text(), "asked.toml")
	defined, err := servicedir.Read(w.services)
	require.NoError(t, err)
	_, err = defined.Find("asked")
	require.NoError(t, err)
	w.deploy("asked")

	for name, keys := range map[string]string{"Ctrl-C": "\x03", "the end of the input": "\x04"} {
		left := w.terminal(120, 40, nil, "service", "new")
		left.shows(w, `Name of the service \[none\]:$`)
		left.types(w, "forsaken\n")
		left.shows(w, `Node that it runs on \[none\]:$`)
		left.types(w, keys)
		require.NotZero(t, left.code(w, time.Minute), name)
		require.NoFileExists(t, filepath.Join(w.services, "forsaken.toml"), name)
	}
	taken := w.terminal(120, 40, nil, "service", "new")
	taken.shows(w, `Name of the service \[none\]:$`)
	taken.types(w, "asked\n")
	taken.shows(w, `asked.toml is there already\nName`)
	wrong := w.terminal(120, 40, nil, "service", "new", "--port", "70000")
	require.Equal(t, 2, wrong.code(w, time.Minute), "no answer corrects a flag")
}
