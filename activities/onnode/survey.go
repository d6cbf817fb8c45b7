package onnode

import (
	"context"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// SurveyInput selects what to survey on a node.
type SurveyInput struct {
	Service string `json:"service"`
	// Deployment is the number of the one that surveys, and Run its run; 0 for a
	// survey that changes nothing, such as that of a plan.
	Deployment int    `json:"deployment,omitempty"`
	Run        string `json:"run,omitempty"`
	// Names are the container names that the service needs.
	Names []string `json:"names,omitempty"`
	// Ports is how many free ports to find.
	Ports int `json:"ports,omitempty"`
	// Secrets are those that the service's components here need.
	Secrets []string `json:"secrets,omitempty"`
	// Signers are those of the versions of the service's own secrets that its components
	// here need.
	Signers []string `json:"signers,omitempty"`
	// Keys are those of the definition that the service's components here set.
	Keys []string `json:"keys,omitempty"`
	// Wanted are the components here that ask the engine for more than every engine has.
	Wanted []servicedef.Component `json:"wanted,omitempty"`
	// Judged are the components here, as far as a policy judges them.
	Judged []servicedef.Component `json:"judged,omitempty"`
	// Images are those, by digest, that the service's components here run.
	Images []string `json:"images,omitempty"`
	// Adopted are the service's adopted containers here.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// SurveyResult is what a survey found.
type SurveyResult struct {
	Containers []fleet.Container `json:"containers,omitempty"`
	FreePorts  []int             `json:"free_ports,omitempty"`
	// MissingSecrets are the requested ones that podman does not have.
	MissingSecrets []string `json:"missing_secrets,omitempty"`
	// Refuses is why this node takes no secrets, or none of a signer, and RefusesHint what
	// to do; "" if it takes them.
	Refuses     string `json:"refuses,omitempty"`
	RefusesHint string `json:"refuses_hint,omitempty"`
	// UnknownKeys are those of Keys that this worker does not know: it is older than
	// the definition, and would run the containers without what they ask for.
	UnknownKeys []string `json:"unknown_keys,omitempty"`
	// Lacks is what the engine lacks of what Wanted asks for, by component.
	Lacks map[string][]runtime.Lack `json:"lacks,omitempty"`
	// Policy is what the policy of the node is called, and Forbidden which of its rules
	// Judged break, by component.
	Policy    string                        `json:"policy,omitempty"`
	Forbidden map[string][]policy.Violation `json:"forbidden,omitempty"`
	// Images are the requested ones that podman has.
	Images []string `json:"images,omitempty"`
	// Ahead is the number of the newest other deployment of the service that this
	// node has seen and that keeps the one that surveys out; 0 if none does. There is
	// one if the registry has lost deployments, as after a restore from a backup.
	Ahead int `json:"ahead,omitempty"`
	// Fence names the memory of this worker: while the name is the same, the worker
	// has seen every newer deployment that has surveyed this node.
	Fence string `json:"fence,omitempty"`
	// Address is where the node publishes routes.
	Address string `json:"address,omitempty"`
}

// Survey finds the service's containers, any other container under a name that it
// needs, secrets that are missing, keys that this worker does not know, what the policy of
// the node forbids, settings that the engine cannot apply, images that are here, and free
// ports. For a deployment it waits until the steps of others have ended.
func (a *Node) Survey(ctx context.Context, in SurveyInput) (result SurveyResult, err error) {
	result.Fence, result.Address, result.UnknownKeys = a.Fence.memory, a.Publish, servicedef.UnknownKeys(in.Keys)
	if refused := a.refuses(in.Signers); refused != nil {
		result.Refuses, result.RefusesHint = refused.Message, refused.Hint
	}
	if in.Deployment > 0 {
		if result.Ahead, err = a.Fence.settle(ctx, in.Service, identity{in.Deployment, in.Run}); err != nil {
			return SurveyResult{}, a.placed(err, "")
		}
	}
	if result.Policy, result.Forbidden, err = a.forbiddenOf(ctx, in.Judged); err != nil {
		return SurveyResult{}, a.placed(err, "")
	}
	result, err = askEngine(ctx, a, func(ctx context.Context) (SurveyResult, error) { return a.survey(ctx, in, result) })
	if err != nil {
		return SurveyResult{}, err
	}
	if in.Ports > 0 {
		if result.FreePorts, err = a.Ports.FreePorts(in.Ports); err != nil {
			return SurveyResult{}, err
		}
	}
	return result, nil
}

// refuses returns why the node does not take secrets of these signers; nil if it does.
func (a *Node) refuses(signers []string) *fault.Error {
	if len(signers) == 0 {
		return nil
	}
	if err := a.Secrets.Ready(); err != nil {
		return fault.Of(err)
	}
	for _, text := range signers {
		signer, err := secrets.ParseSigner(text)
		if err != nil || !slices.Contains(a.Secrets.Signers, signer) {
			return fault.Of(a.Secrets.Untrusted(text))
		}
	}
	return nil
}

// survey asks the engine.
func (a *Node) survey(ctx context.Context, in SurveyInput, result SurveyResult) (SurveyResult, error) {
	var err error
	if result.Containers, err = containersOf(ctx, labelling(a.Runtime, in.Adopted), in.Service, in.Names); err != nil {
		return SurveyResult{}, err
	}
	surveying := identity{in.Deployment, in.Run}
	for _, c := range result.Containers {
		found := identity{c.Deployment, c.Run}
		if c.Service == in.Service && found.refuses(surveying) && fleet.Credible(found.number, in.Deployment) {
			result.Ahead = max(result.Ahead, found.number)
		}
	}
	if len(in.Secrets) > 0 {
		kept, err := a.Runtime.Secrets(ctx)
		if err != nil {
			return SurveyResult{}, err
		}
		result.MissingSecrets = slices.DeleteFunc(slices.Clone(in.Secrets), func(name string) bool {
			return slices.ContainsFunc(kept, func(s runtime.SecretInfo) bool { return s.Name == name })
		})
	}
	for _, c := range in.Wanted {
		lacks, err := a.Runtime.Lacks(ctx, containerSpec(activities.ComponentSpec{Service: in.Service, Definition: c}, c.Name, a.Publish))
		if err == nil {
			lacks, err = a.missingNetworks(ctx, c, lacks)
		}
		if err != nil {
			return SurveyResult{}, err
		}
		if len(lacks) > 0 && result.Lacks == nil {
			result.Lacks = map[string][]runtime.Lack{}
		}
		if len(lacks) > 0 {
			result.Lacks[c.Name] = lacks
		}
	}
	for _, image := range in.Images {
		present, err := a.Runtime.ImageExists(ctx, image)
		if err != nil {
			return SurveyResult{}, err
		}
		if present {
			result.Images = append(result.Images, image)
		}
	}
	return result, nil
}

// containersOf describes the service's containers, and any others under the names.
func containersOf(ctx context.Context, engine runtime.Runtime, service string, names []string) ([]fleet.Container, error) {
	summaries, err := engine.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: service}})
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(summaries, func(c runtime.ContainerSummary) bool { return c.Name == name })
	})
	if len(others) > 0 {
		named, err := engine.Summaries(ctx, runtime.Selection{Names: others})
		if err != nil {
			return nil, err
		}
		summaries = append(summaries, named...)
	}
	containers := make([]fleet.Container, 0, len(summaries))
	for _, c := range summaries {
		containers = append(containers, summarized(c))
	}
	return containers, nil
}

// ListContainersInput selects containers.
type ListContainersInput struct {
	// Service selects one service's; "" every container of the node.
	Service string `json:"service,omitempty"`
}

// ListContainers describes the node's containers. Their uptimes are computed here,
// by the clock that started them, because another host's may differ.
func (a *Node) ListContainers(ctx context.Context, in ListContainersInput) ([]fleet.Container, error) {
	labels := map[string]string{}
	if in.Service != "" {
		labels[runtime.LabelService] = in.Service
	}
	infos, err := askEngine(ctx, a, func(ctx context.Context) ([]runtime.ContainerInfo, error) { return a.Runtime.List(ctx, labels) })
	if err != nil {
		return nil, err
	}
	list := make([]fleet.Container, 0, len(infos))
	for _, info := range infos {
		container := described(info)
		if container.Running {
			container.UptimeSeconds = max(0, int64(time.Since(info.Started).Seconds()))
		}
		list = append(list, container)
	}
	return list, nil
}
