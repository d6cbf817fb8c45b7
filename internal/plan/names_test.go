package plan_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
)

func TestWhereNamesLead(t *testing.T) {
	container := func(name, address string, running, healthy bool) plan.Named {
		return plan.Named{Name: name, Component: "db", Address: netip.MustParseAddr(address), Running: running, Healthy: healthy}
	}
	released := container("shop-db", "10.0.0.1", true, true)
	stopped := container("shop-db", "10.0.0.1", false, true)
	tests := map[string]struct {
		containers []plan.Named
		want       []string
	}{
		"to the released container":                         {[]plan.Named{released}, []string{"10.0.0.1"}},
		"not to its successor, healthy or not":              {[]plan.Named{released, container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.1"}},
		"not to its predecessor":                            {[]plan.Named{released, container("shop-db.prev", "10.0.0.2", true, false)}, []string{"10.0.0.1"}},
		"to no container that has not been healthy":         {[]plan.Named{container("shop-db.next", "10.0.0.2", true, false)}, nil},
		"to the first one, once it is healthy":              {[]plan.Named{container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.2"}},
		"to the stopped one until its successor is healthy": {[]plan.Named{stopped, container("shop-db.next", "10.0.0.2", true, false)}, []string{"10.0.0.1"}},
		"to the healthy successor of a stopped one":         {[]plan.Named{stopped, container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.2"}},
		"not to a successor that has ended":                 {[]plan.Named{stopped, container("shop-db.next", "10.0.0.2", false, true)}, []string{"10.0.0.1"}},
		"to the successor between the two renames":          {[]plan.Named{container("shop-db.prev", "10.0.0.1", true, true), container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.2"}},
		"to the predecessor where the successor is gone":    {[]plan.Named{container("shop-db.prev", "10.0.0.1", true, true)}, []string{"10.0.0.1"}},
		"to all released containers": {
			[]plan.Named{container("shop-db-2", "10.0.0.9", true, true), released, container("shop-db-3", "10.0.0.3", false, true)},
			[]string{"10.0.0.1", "10.0.0.9"},
		},
		"not to a task, which has no component": {[]plan.Named{{Name: "shop-migrate", Address: netip.MustParseAddr("10.0.0.7"), Running: true}}, nil},
		"not to a container without an address": {[]plan.Named{{Name: "shop-db", Component: "db", Running: true}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, lead := range plan.Leads("shop", test.containers) {
				require.Equal(t, []string{"db", "shop-db"}, lead.Names)
				found = append(found, lead.Address.String())
			}
			require.Equal(t, test.want, found)
		})
	}
}

func TestTheNamesOfAComponent(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	leads := plan.Leads("shop", []plan.Named{
		{Name: "shop", Component: "shop", Address: address, Running: true},
		{Name: "shop-db", Component: "db", Address: address, Running: true},
		{Name: "shop-shop-db", Component: "shop-db", Address: address, Running: true},
	})
	var names [][]string
	for _, lead := range leads {
		names = append(names, lead.Names)
	}
	require.Equal(t, [][]string{{"db"}, {"shop"}, {"shop-db", "shop-shop-db"}}, names)
}
