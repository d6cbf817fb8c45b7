package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
)

func TestStandings(t *testing.T) {
	look, services := watched()
	next := look.Containers[1]
	next.ID, next.Name, next.Deployment = "3", "shop-web.next", 8
	adopted := look.Containers[0]
	adopted.ID, adopted.Name = "4", "shop-db"
	look.Containers = append(look.Containers, next, adopted)
	standings := func() map[string]plan.Standing { return plan.Standings("rift", look.Containers, services) }
	want := map[string]plan.Standing{
		"other": plan.Unmanaged, "shop-web": plan.Managed, "shop-web.next": plan.Orphan, "shop-db": plan.Unmanaged,
	}
	require.Equal(t, want, standings())

	services[0].Deploying = 8
	want["shop-web.next"] = plan.Managed
	require.Equal(t, want, standings(), "it may be about to take over")

	services[0].Deploying = 0
	db := services[0].Release.Components["db"]
	db.Node = "rift"
	services[0].Release.Components["db"] = db
	want["shop-web.next"] = plan.Orphan
	require.Equal(t, want, standings(), "the name alone makes it nobody's")
	services[0].Release.Adopted = []plan.Adopted{{ID: "4", Node: "rift", Service: "shop", Component: "db", Deployment: 7}}
	want["shop-db"] = plan.Managed
	require.Equal(t, want, standings())
	services[0].Release.Adopted[0].Node = "orion"
	want["shop-db"] = plan.Unmanaged
	require.Equal(t, want, standings())
}
