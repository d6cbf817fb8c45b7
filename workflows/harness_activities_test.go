package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

func (s *harness) register() {
	add := func(name string, run any) {
		s.env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
	add("LoadRelease", func(ctx context.Context, service string) (fleet.Release, error) {
		if service != s.release.Service {
			return fleet.Release{Service: service}, s.call(ctx, service)
		}
		return s.release, s.call(ctx, service)
	})
	add("ListDeployments", func(ctx context.Context, in oncontrol.ListDeploymentsInput) ([]fleet.DeploymentRecord, error) {
		return s.past, s.call(ctx, in.Service)
	})
	add("LoadSnapshot", func(ctx context.Context, in oncontrol.LoadSnapshotInput) (fleet.Snapshot, error) {
		return fleet.Snapshot{Number: in.Number}, s.call(ctx, in.Service)
	})
	add("BeginDeployment", func(ctx context.Context, in fleet.BeginRequest) (fleet.BeginResult, error) {
		s.given, s.edges.begun = in.Given, in.Definition
		return fleet.BeginResult{Number: s.release.Newest + 1, Release: s.release, Interim: s.edges.interim}, s.call(ctx, "")
	})
	add("RecordDefinition", func(ctx context.Context, in oncontrol.RecordDefinitionInput) (oncontrol.RecordDefinitionResult, error) {
		s.given = &in.Definition
		return oncontrol.RecordDefinitionResult{Changed: true}, s.call(ctx, in.Definition.Name)
	})
	add("ThinHistory", func(ctx context.Context, keep watch.Retention) error {
		return s.call(ctx, keep.Whole.Format(time.RFC3339))
	})
	add("LoadNodeHistory", func(ctx context.Context, in oncontrol.LoadNodeHistoryInput) (fleet.NodeHistory, error) {
		return fleet.NodeHistory{From: in.From, Observations: 1}, s.call(ctx, in.Node)
	})
	add("Survey", func(ctx context.Context, in onnode.SurveyInput) (onnode.SurveyResult, error) {
		name := strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")
		result := onnode.SurveyResult{Containers: s.nodes[name], FreePorts: []int{20000, 20001, 20002}, Ahead: s.newest}
		result.MissingSecrets = in.Secrets // none exists
		result.UnknownKeys = slices.DeleteFunc(slices.Clone(in.Keys), func(key string) bool { return key != s.unknown })
		if len(in.Signers) > 0 {
			result.Refuses = s.refuses
		}
		for _, image := range in.Images {
			if slices.Contains(s.here[name], image) {
				result.Images = append(result.Images, image)
			}
		}
		s.recordAdopted("Survey", in.Adopted)
		return result, s.call(ctx, name)
	})
	add("ImageExists", func(ctx context.Context, in oncontrol.ImageExistsInput) (oncontrol.ImageExistsResult, error) {
		err := s.call(ctx, in.Image)
		s.mu.Lock()
		defer s.mu.Unlock()
		return oncontrol.ImageExistsResult{Exists: s.images[in.Image] != "", Digest: s.images[in.Image]}, err
	})
	add("Build", func(ctx context.Context, in onbuilder.BuildInput) (onbuilder.BuildResult, error) {
		return onbuilder.BuildResult{}, s.call(ctx, in.Image+" from "+in.Path+"/"+in.Build.Containerfile)
	})
	add("Push", func(ctx context.Context, in onbuilder.PushInput) error {
		err := s.call(ctx, in.Image)
		if err == nil {
			s.mu.Lock()
			s.images[in.Image] = "sha256:built"
			s.mu.Unlock()
		}
		return err
	})
	add("Untag", func(ctx context.Context, in onbuilder.PushInput) error { return s.call(ctx, in.Image) })
	add("PortHolders", func(ctx context.Context, ports []fleet.HostPort) ([]fleet.PortHolder, error) {
		return s.held, s.call(ctx, fmt.Sprint(len(ports)))
	})
	add("AllocatePorts", func(ctx context.Context, in fleet.PortRequest) (oncontrol.AllocatePortsResult, error) {
		var result oncontrol.AllocatePortsResult
		err := s.call(ctx, in.Component)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, r := range in.Routes {
			for slices.Contains(in.Taken, s.nextPort) {
				s.nextPort++
			}
			r.HostPort = s.nextPort
			s.nextPort++
			result.Routes = append(result.Routes, r)
		}
		return result, err
	})
	add("RunContainer", func(ctx context.Context, in onnode.RunContainerInput) (onnode.RunContainerResult, error) {
		err := s.call(ctx, fmt.Sprintf("%s %s", in.Component.Container(), in.Component.Image))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ran = append(s.ran, in.Component)
		return onnode.RunContainerResult{Boot: s.booted[strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")]}, err
	})
	add("StopContainer", func(ctx context.Context, in onnode.StopContainerInput) error {
		return s.call(ctx, in.Container.Name)
	})
	add("Renumber", func(ctx context.Context, in fleet.RenumberRequest) (int, error) {
		return in.Floor + 1, s.call(ctx, fmt.Sprint(in.Floor))
	})
	add("CutOver", func(ctx context.Context, in onnode.CutOverInput) (onnode.CutOverResult, error) {
		s.recordAdopted("CutOver", in.Adopted)
		if err := s.call(ctx, names(in.Replace, in.Leave)); err != nil {
			return onnode.CutOverResult{}, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cutOver(strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")), nil
	})
	add("Restore", func(ctx context.Context, in onnode.RestoreInput) error {
		s.recordAdopted("Restore", in.Adopted)
		s.mu.Lock()
		s.ran = append(s.ran, in.Sealed...)
		for _, c := range in.Serving {
			for _, r := range c.Routes {
				s.serving = append(s.serving, fmt.Sprintf("%s:%d", c.Container(), r.HostPort))
			}
		}
		s.mu.Unlock()
		renames := []string{}
		for _, r := range in.Rename {
			renames = append(renames, fmt.Sprintf("{%s %s}", r.From, r.To))
		}
		return s.call(ctx, fmt.Sprintf("%s remove%v rename%v start%v", in.Node, in.Remove, renames, in.Start))
	})
	add("Retire", func(ctx context.Context, in onnode.RetireInput) error {
		s.recordAdopted("Retire", in.Adopted)
		return s.call(ctx, names(in.Containers))
	})
	add("ListContainers", func(ctx context.Context, in onnode.ListContainersInput) ([]fleet.Container, error) {
		name := strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")
		return s.candidates[name], s.call(ctx, name)
	})
	add("ListServices", func(ctx context.Context, in oncontrol.ListServicesInput) ([]fleet.ServiceRecord, error) {
		return []fleet.ServiceRecord{{Release: s.release}}, s.call(ctx, "")
	})
	add("CommitRelease", func(ctx context.Context, in fleet.CommitRequest) (fleet.CommitResult, error) {
		s.mu.Lock()
		s.committed = in
		s.mu.Unlock()
		var names []string
		for _, m := range in.Members {
			names = append(names, fmt.Sprintf("%s/%d", m.Component, m.Deployment))
		}
		err := s.call(ctx, strings.Join(names, ","))
		result := s.stale
		if err == nil {
			result.Publishing = s.commitRoutes(in)
		}
		return result, err
	})
	add("PruneImages", func(ctx context.Context, in activities.PruneImagesInput) (activities.PruneImagesResult, error) {
		return activities.PruneImagesResult{}, s.call(ctx, activity.GetInfo(ctx).TaskQueue+" "+strings.Join(in.Images, ","))
	})
	add("MarkMended", func(ctx context.Context, in oncontrol.MarkMendedInput) error {
		return s.call(ctx, fmt.Sprintf("%s/%d", in.Service, in.Deployment))
	})
	add("RecordNode", func(ctx context.Context, in fleet.NodeRecord) (fleet.Boot, error) {
		return s.boot, s.call(ctx, in.Name)
	})
	add("LastSeen", func(ctx context.Context, node string) (time.Time, error) { return s.seen(), s.call(ctx, node) })
	add("Deploying", func(ctx context.Context, service string) (bool, error) { return s.deploying(), s.call(ctx, service) })
	add("WatchedNodes", func(context.Context) ([]fleet.WatchedNode, error) { return s.watched, nil })
	add("ClaimNode", func(ctx context.Context, in fleet.Claim) (fleet.ClaimResult, error) {
		result := fleet.ClaimResult{Verdict: watch.Judge(s.holder, in), Holder: s.holder}
		return result, s.call(ctx, string(result.Verdict))
	})
	add("Identify", func(ctx context.Context) (fleet.Answer, error) {
		return s.answer, s.call(ctx, s.answer.Machine.Hostname)
	})
	add("SetDraining", func(ctx context.Context, in oncontrol.SetDrainingInput) (oncontrol.SetDrainingResult, error) {
		there := []fleet.ServiceOn{{Service: "shop", Components: []string{"api"}}}
		return oncontrol.SetDrainingResult{Services: there}, s.call(ctx, fmt.Sprint(in.Node, " ", in.Draining))
	})
	add("RemoveNode", func(ctx context.Context, in oncontrol.RemoveNodeInput) error { return s.call(ctx, in.Node) })
	add("ObserveNode", func(ctx context.Context) (onnode.ObserveNodeResult, error) {
		name := strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")
		var found onnode.ObserveNodeResult
		found.Containers = append(found.Containers, s.nodes[name]...)
		found.Status.Containers = len(found.Containers)
		return found, s.call(ctx, name)
	})
	add("RecordObservation", func(ctx context.Context, in fleet.Observation) (oncontrol.RecordObservationResult, error) {
		err := s.call(ctx, in.Node)
		if err == nil {
			s.mu.Lock()
			s.observations = append(s.observations, in)
			s.mu.Unlock()
		}
		return oncontrol.RecordObservationResult{Alerting: s.alerting}, err
	})
	add("Deliver", func(ctx context.Context, in oncontrol.DeliverInput) (oncontrol.DeliverResult, error) {
		return oncontrol.DeliverResult{Delivered: 1}, s.call(ctx, in.Destination)
	})
	add("MarkRevived", func(ctx context.Context, in oncontrol.MarkRevivedInput) error {
		return s.call(ctx, in.Node+" "+in.Boot)
	})
	add("Purge", func(ctx context.Context, in oncontrol.PurgeInput) (fleet.Forgotten, error) {
		err := s.call(ctx, fmt.Sprintf("%s dry=%t", in.Service, in.Dry))
		if s.purged && !in.Dry {
			return fleet.Forgotten{Service: in.Service}, err
		}
		return s.known, err
	})
	add("ReleasePorts", func(ctx context.Context, service string) error { return s.call(ctx, "") })
	add("FinishDeployment", func(ctx context.Context, in fleet.FinishRequest) error {
		err := s.call(ctx, in.Outcome)
		s.mu.Lock()
		s.finished = in
		s.mu.Unlock()
		if err == nil && in.ReleasePorts {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.calls = slices.Insert(s.calls, len(s.calls)-1, "ReleasePorts") // which is a part of it
		}
		return err
	})
}
