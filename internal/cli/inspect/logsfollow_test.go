package inspect

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
)

func TestAFollowTellsEachReasonOnce(t *testing.T) {
	late := fault.New(fault.Unavailable, "no answer in time")
	gone := fault.New(fault.Unavailable, "node rift: no worker polls node-rift")
	var said bytes.Buffer
	f := &logFollower{session: &session.Session{Console: ui.Console{Stderr: &said}}}
	var reported *fault.Error
	for _, now := range []*fault.Error{nil, late, gone, gone, gone, nil, nil, gone} {
		f.report("api", &reported, now)
	}
	require.Equal(t, `api: no answer in time
api: node rift: no worker polls node-rift
api: it answers again
api: node rift: no worker polls node-rift
`, said.String())
}
