package watch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

func TestStandings(t *testing.T) {
	observation, services := watched()
	next := observation.Containers[1]
	next.ID, next.Name, next.Deployment = "3", "shop-web.next", 8
	adopted := observation.Containers[0]
	adopted.ID, adopted.Name = "4", "shop-db"
	observation.Containers = append(observation.Containers, next, adopted)
	standings := func() map[string]watch.Standing { return watch.Standings("rift", observation.Containers, services) }
	want := map[string]watch.Standing{
		"other": watch.Unmanaged, "shop-web": watch.Managed, "shop-web.next": watch.Orphan, "shop-db": watch.Unmanaged,
	}
	require.Equal(t, want, standings())

	services[0].Deploying = 8
	want["shop-web.next"] = watch.Managed
	require.Equal(t, want, standings(), "it may be about to take over")

	services[0].Deploying, services[0].Release.Retiring = 0, true
	require.Equal(t, want, standings(), "what a release replaces is its own until it is gone")
	services[0].Release.Retiring = false
	db := services[0].Release.Components["db"]
	db.Node = "rift"
	services[0].Release.Components["db"] = db
	want["shop-web.next"] = watch.Orphan
	require.Equal(t, want, standings(), "a name alone does not make it managed")
	services[0].Release.Adopted = []fleet.Adopted{{ID: "4", Node: "rift", Service: "shop", Component: "db", Deployment: 7}}
	want["shop-db"] = watch.Managed
	require.Equal(t, want, standings())
	services[0].Release.Adopted[0].Node = "orion"
	want["shop-db"] = watch.Unmanaged
	require.Equal(t, want, standings())
}

func TestTasksAreNoMembersAndAJobIsNoOrphan(t *testing.T) {
	observation, services := watched()
	task := func(kind fleet.TaskKind) fleet.Container {
		c := observation.Containers[1]
		c.ID, c.Name, c.Component = string(kind), "shop-"+string(kind), ""
		c.Task = fleet.Task{ID: string(kind), Kind: kind, Name: "daily"}
		return c
	}
	observation.Containers = append(observation.Containers, task(fleet.StepTask), task(fleet.JobTask))
	standings := func() map[string]watch.Standing { return watch.Standings("rift", observation.Containers, services) }
	require.Equal(t, watch.Orphan, standings()["shop-step"])
	require.Equal(t, watch.Managed, standings()["shop-job"])
	services[0].Deploying = 8
	require.Equal(t, watch.Managed, standings()["shop-step"], "its deployment is under way")
}
