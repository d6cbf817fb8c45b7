package leads_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan/leads"
)

func TestWhereNamesLead(t *testing.T) {
	container := func(name, address string, running, healthy bool) leads.Container {
		return leads.Container{Name: name, Component: "db", Address: netip.MustParseAddr(address), Running: running, Healthy: healthy}
	}
	released := container("shop-db", "10.0.0.1", true, true)
	stopped := container("shop-db", "10.0.0.1", false, true)
	tests := map[string]struct {
		containers []leads.Container
		want       []string
	}{
		"to the released container":                         {[]leads.Container{released}, []string{"10.0.0.1"}},
		"not to its successor, healthy or not":              {[]leads.Container{released, container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.1"}},
		"not to its predecessor":                            {[]leads.Container{released, container("shop-db.prev", "10.0.0.2", true, false)}, []string{"10.0.0.1"}},
		"to no container that has not been healthy":         {[]leads.Container{container("shop-db.next", "10.0.0.2", true, false)}, nil},
		"to the first one, once it is healthy":              {[]leads.Container{container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.2"}},
		"to the stopped one until its successor is healthy": {[]leads.Container{stopped, container("shop-db.next", "10.0.0.2", true, false)}, []string{"10.0.0.1"}},
		"to the healthy successor of a stopped one":         {[]leads.Container{stopped, container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.2"}},
		"not to a successor that has ended":                 {[]leads.Container{stopped, container("shop-db.next", "10.0.0.2", false, true)}, []string{"10.0.0.1"}},
		"to the successor between the two renames":          {[]leads.Container{container("shop-db.prev", "10.0.0.1", true, true), container("shop-db.next", "10.0.0.2", true, true)}, []string{"10.0.0.2"}},
		"to the predecessor where the successor is gone":    {[]leads.Container{container("shop-db.prev", "10.0.0.1", true, true)}, []string{"10.0.0.1"}},
		"to all released containers": {
			[]leads.Container{container("shop-db-2", "10.0.0.9", true, true), released, container("shop-db-3", "10.0.0.3", false, true)},
			[]string{"10.0.0.1", "10.0.0.9"},
		},
		"not to a task, which has no component": {[]leads.Container{{Name: "shop-migrate", Address: netip.MustParseAddr("10.0.0.7"), Running: true}}, nil},
		"not to a container without an address": {[]leads.Container{{Name: "shop-db", Component: "db", Running: true}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, lead := range leads.Of("shop", test.containers) {
				require.Equal(t, []string{"db", "shop-db"}, lead.Names)
				found = append(found, lead.Address.String())
			}
			require.Equal(t, test.want, found)
		})
	}
}

func TestTheNamesOfAComponent(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	all := leads.Of("shop", []leads.Container{
		{Name: "shop", Component: "shop", Address: address, Running: true},
		{Name: "shop-db", Component: "db", Address: address, Running: true},
		{Name: "shop-shop-db", Component: "shop-db", Address: address, Running: true},
	})
	var names [][]string
	for _, lead := range all {
		names = append(names, lead.Names)
	}
	require.Equal(t, [][]string{{"db"}, {"shop"}, {"shop-db", "shop-shop-db"}}, names)
}
