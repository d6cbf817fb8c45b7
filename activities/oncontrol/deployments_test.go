package oncontrol

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Whoever may start workflows can send any definition. A name with control characters
// would reach the terminal of every operator.
func TestAnInvalidDefinitionIsNotRecorded(t *testing.T) {
	const name = "shop\x1b]0;evil\x07"
	var control Control // has no registry that would record it
	_, err := control.RecordDefinition(t.Context(), RecordDefinitionInput{Definition: servicedef.Service{Name: name}})
	require.True(t, fault.Is(err, fault.Invalid), err)
	_, err = control.BeginDeployment(t.Context(), fleet.BeginRequest{Given: &servicedef.Service{Name: name}})
	require.True(t, fault.Is(err, fault.Invalid), err)
	for _, definition := range []servicedef.Service{
		{Name: name},
		{Name: "shop", Components: []servicedef.Component{{Name: name, Node: "rift"}}},
		{Name: "shop", Components: []servicedef.Component{{Name: "app", Node: name}}},
	} {
		_, err := control.BeginDeployment(t.Context(), fleet.BeginRequest{Definition: definition})
		require.True(t, fault.Is(err, fault.Invalid), err)
	}
}
