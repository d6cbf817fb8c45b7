package law

import (
	"strings"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// startable has every type of workflow that clients start, with who may start it, and what
// its id and input must be. The others are started by workflows and schedules.
var startable = map[string]startKind{
	// What nodes and edges say of themselves.
	tend.ClaimNodeName: of(func(_ *call, in *fleet.Claim) subject {
		s := subject{id: tend.ClaimID(in.Node, in.Machine), own: in.Node}
		if in.Silent != nil {
			s.refuse = "a claim does not say that another machine is silent"
		}
		return s
	}, identity.Node),
	tend.RegisterNodeName: of(func(_ *call, in *fleet.NodeRecord) subject {
		return subject{id: tend.NodeID(in.Name), own: in.Name}
	}, identity.Node).announcing(),
	tend.AnnounceEdgeName: of(func(_ *call, in *fleet.EdgeRecord) subject {
		return subject{id: tend.AnnouncementID(in.Name, in.Key), own: in.Name}
	}, identity.Edge).announcing(),
	tend.EdgeStorageName: of(func(_ *call, in *fleet.StorageRequest) subject {
		return subject{prefix: tend.EdgeStorageID(in.Edge, ""), own: in.Edge}
	}, identity.Edge),

	// What changes a service.
	workflows.DeployName: of(func(c *call, in *workflows.DeployInput) subject {
		in.Who = c.caller.String()
		s := subject{
			id: workflows.DeployID(in.Definition.Name), services: []string{in.Definition.Name},
			nodes: workflows.Nodes(in.Definition), searchable: true, memo: in.Memo(),
		}
		if in.Secret != "" {
			s.grant = identity.Secrets
		}
		return s
	}, changers...).lasting(),
	workflows.PurgeName: of(func(c *call, in *workflows.PurgeInput) subject {
		in.Who = c.caller.String()
		return subject{id: workflows.DeployID(in.Service), services: []string{in.Service}, searchable: true, memo: in.Memo()}
	}, changers...).lasting(),
	workflows.BuildName: of(func(c *call, in *workflows.BuildInput) subject {
		in.Who = c.caller.String()
		return subject{id: workflows.BuildID(in.Definition.Name), services: []string{in.Definition.Name}, searchable: true}
	}, changers...).lasting(),
	workflows.SyncName: of(func(c *call, in *workflows.DeployInput) subject {
		in.Who = c.caller.String()
		return subject{reads: true, services: []string{in.Definition.Name}}
	}, changers...),
	workflows.MaintainName: of(func(_ *call, in *workflows.MaintainInput) subject {
		return subject{prefix: workflows.MaintainID(in.Service, ""), services: []string{in.Service}, searchable: true}
	}, changers...),
	workflows.RunJobName: of(runs, changers...).lasting(),
	workflows.PauseJobName: of(func(c *call, in *workflows.PauseJobInput) subject {
		if in.By != "" {
			in.By = c.caller.String()
		}
		return subject{prefix: workflows.PauseID(in.Service, in.Job, ""), services: []string{in.Service}, searchable: true}
	}, changers...),
	workflows.ExecName: of(func(_ *call, in *workflows.ExecInput) subject {
		return subject{reads: true, services: []string{in.Service}, grant: identity.Exec}
	}, people...),

	// What changes nodes and edges.
	tend.DrainNodeName: of(func(_ *call, in *tend.DrainInput) subject {
		verb := "activate"
		if in.Draining {
			verb = "drain"
		}
		return subject{prefix: tend.NodeChangeID(in.Node, verb, "")}
	}, identity.Operator),
	tend.RemoveNodeName: of(func(_ *call, node *string) subject {
		return subject{prefix: tend.NodeChangeID(*node, "remove", "")}
	}, identity.Operator),
	tend.AdmitEdgeName: of(func(_ *call, in *tend.AdmitEdgeInput) subject {
		return subject{prefix: tend.EdgeChangeID(in.Edge, "admit", "")}
	}, identity.Operator),
	tend.RemoveEdgeName: of(func(_ *call, edge *string) subject {
		return subject{prefix: tend.EdgeChangeID(*edge, "remove", "")}
	}, identity.Operator),

	// Secrets.
	workflows.SetSecretName: of(func(c *call, in *secrets.Addition) subject {
		in.Who = c.caller.String()
		return secretly(in.Envelope.Service, workflows.SecretID(in.Envelope.Service, in.Envelope.Name, "set", ""))
	}, people...),
	workflows.RemoveSecretName: of(func(c *call, in *oncontrol.RemoveSecretInput) subject {
		in.Who = c.caller.String()
		return secretly(in.Service, workflows.SecretID(in.Service, in.Name, "rm", ""))
	}, people...),
	workflows.RotateSecretName: of(func(c *call, in *workflows.RotateSecretInput) subject {
		in.Who = c.caller.String()
		s := secretly(in.Envelope.Service, "")
		s.id = workflows.RotationID(in.Envelope.Service, in.Envelope.Name)
		return s
	}, changers...).lasting(),
	reads.EnvelopesName: of(func(_ *call, in *oncontrol.LoadEnvelopesInput) subject {
		var services []string
		for _, ref := range in.Refs {
			services = append(services, ref.Service)
		}
		s := reading(services...)
		s.grant = identity.Secrets
		return s
	}, people...),
	reads.SecretsName: of(func(_ *call, in *reads.SecretsInput) subject {
		s := reading(in.Service)
		s.grant = identity.Secrets
		return s
	}, people...),

	// What only reads.
	workflows.PlanName:     of(func(_ *call, in *workflows.DeployInput) subject { return reading(in.Definition.Name) }, people...),
	workflows.AdoptionName: of(func(_ *call, in *workflows.DeployInput) subject { return reading(in.Definition.Name) }, changers...),
	reads.StatusName: of(func(_ *call, in *reads.StatusInput) subject {
		return reading(in.Services...)
	}, people...),
	reads.ServicesName:     bare(subject{reads: true, every: true}, people...),
	reads.NodeStatesName:   bare(subject{reads: true}, people...),
	reads.EventsName:       of(func(_ *call, in *reads.EventsInput) subject { return reading(in.Service) }, people...),
	reads.NodeHistoryName:  of(func(*call, *reads.NodeHistoryInput) subject { return subject{reads: true} }, people...),
	reads.NodePolicyName:   of(func(*call, *string) subject { return subject{reads: true} }, people...),
	reads.ProcessesName:    of(func(*call, *reads.ProcessesInput) subject { return reading() }, people...),
	reads.HistoryName:      of(func(_ *call, in *reads.HistoryInput) subject { return reading(in.Service) }, people...),
	workflows.SnapshotName: of(func(_ *call, in *workflows.SnapshotInput) subject { return reading(in.Service) }, people...),
	reads.PurgeableName:    of(func(_ *call, service *string) subject { return reading(*service) }, people...),
	reads.LogsName:         of(func(_ *call, in *reads.LogsInput) subject { return reading(in.Service) }, people...),
	reads.DoctorName:       of(func(*call, *reads.DoctorInput) subject { return reading() }, people...),
	reads.EdgesName:        of(func(*call, *reads.EdgesInput) subject { return reading() }, people...),
	reads.RoutesName:       of(func(_ *call, in *reads.RoutesInput) subject { return reading(in.Service) }, people...),
	reads.AccessLogName:    of(func(_ *call, in *reads.AccessLogInput) subject { return reading(in.Service) }, people...),
	reads.BuildLogName:     of(func(_ *call, in *reads.BuildLogInput) subject { return reading(in.Service) }, people...),
	reads.JobsName:         of(func(_ *call, in *reads.JobsInput) subject { return reading(in.Services...) }, people...),
	reads.JobRunsName:      of(func(_ *call, in *reads.JobRunsInput) subject { return reading(in.Service) }, people...),
	reads.JobLogsName:      of(func(_ *call, in *reads.JobLogsInput) subject { return reading(in.Service) }, people...),
	reads.AuditName:        of(func(_ *call, in *reads.AuditInput) subject { return reading(in.Service) }, people...),

	// What the command line adds to the audit.
	workflows.RecordAuditName: of(records, changers...),
}

// reading is a read about these services; none, or "", means all of them.
func reading(services ...string) subject {
	s := subject{reads: true, every: len(services) == 0}
	for _, service := range services {
		if service == "" {
			s.every = true
			continue
		}
		s.services = append(s.services, service)
	}
	return s
}

func secretly(service, prefix string) subject {
	return subject{prefix: prefix, services: []string{service}, searchable: true, grant: identity.Secrets}
}

// runs is the run of a job. A command other than the job's own takes the grant to execute
// commands.
func runs(c *call, in *workflows.RunJobInput) subject {
	in.Who = c.caller.String()
	s := subject{prefix: workflows.RunID(in.Service, in.Job, ""), services: []string{in.Service}, searchable: true}
	if len(in.Command) > 0 {
		s.grant = identity.Exec
	}
	if in.Schedule != "" || !in.Due.IsZero() {
		s.refuse = "only a schedule says when a run was due"
	}
	return s
}

// records is what the command line adds to the audit: that it cancels something. The door
// answers instead, because it adds each cancel to the audit itself.
func records(_ *call, in *workflows.RecordAuditInput) subject {
	s := subject{refuse: "clients add to the audit what they cancel, and nothing else"}
	if len(in.Entries) != 1 || !strings.HasPrefix(in.Entries[0].Key, "cancel/") {
		return s
	}
	entry := in.Entries[0]
	phase := "begun"
	if entry.Ended() {
		phase = "ended"
	}
	action, ok := workflows.CancelOf(entry.WorkflowID)
	if !ok {
		return s
	}
	return subject{
		id: workflows.RecordAuditID(entry.Key, phase), services: []string{action.Service},
		instead: &workflowservice.StartWorkflowExecutionResponse{RunId: "recorded-by-the-gateway", Started: true},
	}
}
