package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/door/who"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// signedBy sets who starts the workflow, as a door says it of a workflow of that id and
// type.
func (a *auditing) signedBy(t *testing.T, secret string, actor fleet.Actor, id, workflow string) {
	t.Helper()
	signer, err := who.NewSigner([]byte(secret))
	require.NoError(t, err)
	text, err := json.Marshal(actor)
	require.NoError(t, err)
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(actor, signer.Sign(id, workflow, text))
	require.NoError(t, err)
	a.env.SetHeader(&common.Header{Fields: map[string]*common.Payload{
		workflows.HeaderActor: payloads.GetPayloads()[0], workflows.HeaderDoor: payloads.GetPayloads()[1],
	}})
}

// testWorkflow is the id of a workflow in the test environment.
const testWorkflow = "default-test-workflow-id"

func TestADoorKnowsWhoAsks(t *testing.T) {
	anna := fleet.Actor{Who: "operator/anna", From: "laptop"}
	door := strings.Repeat("d", 32)
	for name, test := range map[string]struct {
		secret, id, workflow string
		known                bool
	}{
		"as the door says":         {door, testWorkflow, workflows.DeployName, true},
		"by another door":          {strings.Repeat("o", 32), testWorkflow, workflows.DeployName, false},
		"of another workflow":      {door, "deploy/bank", workflows.DeployName, false},
		"of another workflow type": {door, testWorkflow, workflows.PurgeName, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuditing(t)
			signer, err := who.NewSigner([]byte(door))
			require.NoError(t, err)
			a.door = signer.Key()
			a.signedBy(t, test.secret, anna, test.id, test.workflow)
			a.env.ExecuteWorkflow(workflows.DeployName, shop())
			require.NoError(t, a.env.GetWorkflowError())
			require.Len(t, a.entries, 2)
			for _, e := range a.entries {
				require.Equal(t, "operator/anna", e.Who)
				require.Equal(t, !test.known, e.Claimed)
			}
		})
	}
}

func TestWhatADoorAddsToTheAuditIsKnown(t *testing.T) {
	for _, known := range []bool{true, false} {
		a := newAuditing(t)
		secret := strings.Repeat("d", 32)
		if known {
			signer, err := who.NewSigner([]byte(secret))
			require.NoError(t, err)
			a.door = signer.Key()
		}
		actor := fleet.Actor{Who: "operator/anna"}
		a.signedBy(t, secret, actor, testWorkflow, workflows.RecordAuditName)
		entry := fleet.AuditEntry{Key: "cancel/1", Actor: actor, Action: fleet.Action{Verb: "cancel", Service: "shop"}}
		a.env.ExecuteWorkflow(workflows.RecordAuditName, workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}})
		require.NoError(t, a.env.GetWorkflowError())
		require.Len(t, a.entries, 1)
		require.Equal(t, !known, a.entries[0].Claimed)
	}
}
