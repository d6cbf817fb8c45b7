package publication_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
)

// A node that gets another address to publish on keeps its containers where they are.
func TestAContainerIsReachedWhereItPublishesItsPorts(t *testing.T) {
	definition := servicedef.Service{Name: "shop", Active: true, Components: []servicedef.Component{{
		Name: "api", Node: "rift", Routes: []servicedef.Route{{Name: "rest", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}}},
	}}}
	member := fleet.Member{Component: "api", Node: "rift", Active: true, Routes: []fleet.Route{{Name: "rest", HostPort: 20000}}}
	for address, want := range map[string]string{"": "10.0.0.2:20000", "10.0.0.1": "10.0.0.1:20000"} {
		member.Address = address
		source := fleet.PublicationSource{Definition: &definition, Members: []fleet.Member{member}, Addresses: map[string]string{"rift": "10.0.0.2"}}
		require.Equal(t, []string{want}, publication.Routes(source)[0].Upstreams)
		found, known := publication.MemberAt(source, want)
		require.True(t, known)
		require.Equal(t, "api", found.Component)
	}
}
