package threat

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/imageregistry"
)

func imageOptions(registry string) imageregistry.Options {
	return imageregistry.Options{Insecure: []string{registry}}
}

// The honest work of a fleet passes the door, and nothing else that its identities try.
func TestIdentity(t *testing.T) {
	d := newDoored(t)
	d.buildApp()
	for _, name := range []string{"shop", "bank"} {
		d.define(name)
	}
	d.startWorkers()
	t.Run("honest", func(t *testing.T) { d.honest(t) })
}

// honest is what operators, deployers and readers do.
func (d *doored) honest(t *testing.T) {
	d.t = t
	d.must(anna, "deploy", "shop", "bank")
	d.must(ci, "deploy", "shop", "--force")
	for _, command := range [][]string{
		{"status"}, {"ps"}, {"plan", "shop"}, {"history", "shop"}, {"logs", "shop"}, {"node", "list"}, {"node", "status"},
		{"events"}, {"jobs"}, {"route", "list"}, {"edge", "list"}, {"secret", "list"}, {"build", "shop"}, {"build", "log", "shop"},
		{"restart", "bank"}, {"doctor"}, {"exec", "shop", "--", "/app", "say", "hello", "0"}, {"service", "list"},
	} {
		d.must(anna, command...)
	}
	for _, command := range [][]string{{"status", "shop"}, {"plan", "shop"}, {"history", "shop"}, {"logs", "shop"}, {"node", "list"}} {
		d.must(guest, command...)
		d.must(ci, command...)
	}
	audit := d.psql("select distinct who, claimed from audit order by 1")
	require.Equal(t, "deployer/ci|f\noperator/anna|f", audit)
}
