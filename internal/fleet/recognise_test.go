package fleet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

func TestAnAdoptedContainerHasTheStopTimeoutOfItsComponent(t *testing.T) {
	release := fleet.Release{
		Service:    "shop",
		Definition: &servicedef.Service{Components: []servicedef.Component{{Name: "db", StopTimeout: servicedef.Duration(time.Minute)}}},
		Adopted:    []fleet.Adopted{{ID: "a", Node: "rift", Component: "db"}, {ID: "b", Node: "orion", Component: "gone"}},
	}
	require.Equal(t, []fleet.Adopted{{ID: "a", Node: "rift", Component: "db", StopTimeout: time.Minute}}, release.AdoptedOn("rift"))
	require.Equal(t, []fleet.Adopted{{ID: "b", Node: "orion", Component: "gone"}}, release.AdoptedOn("orion"))
	require.Zero(t, release.Adopted[0].StopTimeout, "it is not recorded")
}
