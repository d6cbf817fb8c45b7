package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/tend"
)

// audited is the table of the workflows that change something, each with the actions that
// it is, and how to find that action in its input. A workflow that is not in it only
// reads, or keeps mcp's own records.
var audited = map[string]struct {
	verbs  []string
	action func(args []any) fleet.Action
}{
	DeployName: {Verbs(), about(func(in DeployInput) fleet.Action {
		return fleet.Action{Verb: string(in.Verb), Service: in.Definition.Name, Detail: deployDetail(in)}
	})},
	PurgeName: {[]string{"purge"}, about(func(in PurgeInput) fleet.Action {
		return fleet.Action{Verb: in.Word(), Service: in.Service}
	})},
	BuildName: {[]string{"build"}, about(func(in BuildInput) fleet.Action {
		return fleet.Action{Verb: "build", Service: in.Definition.Name, Detail: detail(strings.Join(in.Images, " "), flag("force", in.Force), "at "+cmp.Or(in.Builder, "no builder"))}
	})},
	SyncName: {[]string{"sync"}, about(func(in DeployInput) fleet.Action {
		return fleet.Action{Verb: "sync", Service: in.Definition.Name}
	})},
	MendName: {[]string{"mend"}, about(func(in MendInput) fleet.Action {
		return fleet.Action{Verb: "mend", Service: in.Definition.Name, Detail: fmt.Sprintf("what deployment %d has left", in.Deployment)}
	})},
	tend.ReviveNodeName: {[]string{"revive"}, about(func(in tend.ReviveNodeInput) fleet.Action {
		return fleet.Action{Verb: "revive", Node: in.Node, Detail: strings.TrimSuffix("after a boot: "+strings.Join(in.Services, " "), ": ")}
	})},
	tend.DrainNodeName: {[]string{"node drain", "node activate"}, about(func(in tend.DrainInput) fleet.Action {
		if in.Draining {
			return fleet.Action{Verb: "node drain", Node: in.Node}
		}
		return fleet.Action{Verb: "node activate", Node: in.Node}
	})},
	tend.RemoveNodeName: {[]string{"node remove"}, about(func(node string) fleet.Action {
		return fleet.Action{Verb: "node remove", Node: node}
	})},
	tend.AdmitEdgeName: {[]string{"edge admit"}, about(func(in tend.AdmitEdgeInput) fleet.Action {
		return fleet.Action{Verb: "edge admit", Edge: in.Edge, Detail: in.Key}
	})},
	tend.RemoveEdgeName: {[]string{"edge remove"}, about(func(edge string) fleet.Action {
		return fleet.Action{Verb: "edge remove", Edge: edge}
	})},
	MaintainName: {[]string{"maintenance"}, about(func(in MaintainInput) fleet.Action {
		word := "off"
		if in.On {
			word = "on"
		}
		return fleet.Action{Verb: "maintenance", Service: in.Service, Detail: word}
	})},
	RunJobName: {[]string{"run"}, about(func(in RunJobInput) fleet.Action {
		return fleet.Action{Verb: "run", Service: in.Service, Component: in.Job, Detail: program(in.Command)}
	})},
	PauseJobName: {[]string{"job pause", "job resume"}, about(func(in PauseJobInput) fleet.Action {
		if in.By == "" {
			return fleet.Action{Verb: "job resume", Service: in.Service, Component: in.Job}
		}
		return fleet.Action{Verb: "job pause", Service: in.Service, Component: in.Job}
	})},
	SetSecretName: {[]string{"secret set", "secret rekey"}, about(func(in secrets.Addition) fleet.Action {
		verb := "secret set"
		if in.Rekey {
			verb = "secret rekey"
		}
		return fleet.Action{Verb: verb, Service: in.Envelope.Service, Detail: fmt.Sprintf("%s, version %d", in.Envelope.Name, in.Envelope.Version)}
	})},
	RemoveSecretName: {[]string{"secret rm"}, about(func(in oncontrol.RemoveSecretInput) fleet.Action {
		return fleet.Action{Verb: "secret rm", Service: in.Service, Detail: in.Name}
	})},
	RotateSecretName: {[]string{"secret rotate"}, about(func(in RotateSecretInput) fleet.Action {
		return fleet.Action{Verb: "secret rotate", Service: in.Envelope.Service, Detail: fmt.Sprintf("%s, version %d", in.Envelope.Name, in.Envelope.Version)}
	})},
	ExecName: {[]string{"exec"}, about(func(in ExecInput) fleet.Action {
		return fleet.Action{Verb: "exec", Service: in.Service, Component: in.Component, Detail: program(in.Command)}
	})},
}

// IsAudited reports whether a type of workflow is an action that the audit records.
func IsAudited(workflow string) bool {
	_, ok := audited[workflow]
	return ok
}

// AuditedVerbs are the verbs of the actions that the audit may have, sorted. Some are
// those of other clients' calls, which are no workflows, of a gateway, or of mcp itself.
func AuditedVerbs() []string {
	verbs := []string{"cancel", "cp", "identity create", "identity revoke", "identity rotate", "job cancel", "join", "key forget", "migrate", "port-forward"}
	for _, row := range audited {
		verbs = append(verbs, row.verbs...)
	}
	slices.Sort(verbs)
	return slices.Compact(verbs)
}

// CancelOf is the action of a client that cancels a workflow; ok is false if that changes
// nothing but an answer.
func CancelOf(id string) (action fleet.Action, ok bool) {
	if service, job, ok := strings.Cut(strings.TrimPrefix(id, jobPrefix), "/"); ok && strings.HasPrefix(id, jobPrefix) {
		job, _, _ = strings.Cut(job, "/")
		return fleet.Action{Verb: "job cancel", Service: service, Component: job}, true
	}
	if service, ok := strings.CutPrefix(id, DeployID("")); ok {
		return fleet.Action{Verb: "cancel", Service: service}, true
	}
	if service, ok := strings.CutPrefix(id, BuildID("")); ok {
		return fleet.Action{Verb: "cancel", Service: service, Detail: "a build"}, true
	}
	return fleet.Action{}, false
}

// actionOf is the action of a workflow with those arguments; ok is false for one that is
// not audited.
func actionOf(workflow string, args []any) (action fleet.Action, ok bool) {
	row, ok := audited[workflow]
	if !ok {
		return fleet.Action{}, false
	}
	return row.action(args), true
}

// about finds an action in the input of a workflow. If there is none, the action is about
// nothing.
func about[In any](action func(In) fleet.Action) func([]any) fleet.Action {
	return func(args []any) fleet.Action {
		var in In
		if len(args) > 0 {
			in, _ = args[0].(In)
		}
		return action(in)
	}
}

// deployDetail is what a deployment is asked for besides its service.
func deployDetail(in DeployInput) string {
	release := ""
	if in.Release > 0 {
		release = fmt.Sprintf("to release %d", in.Release)
	}
	return detail(release, strings.Join(in.Only, " "), flag("force", in.Force), flag("no-cache", in.NoCache))
}

// program is a command without its arguments, which may be secrets.
func program(command []string) string {
	switch len(command) {
	case 0:
		return ""
	case 1:
		return command[0]
	}
	return fmt.Sprintf("%s and %d more", command[0], len(command)-1)
}

func flag(name string, set bool) string {
	if !set {
		return ""
	}
	return "--" + name
}

func detail(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ", ")
}
