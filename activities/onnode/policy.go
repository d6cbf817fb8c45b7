package onnode

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// GetPolicy reads the policy of the node.
func (a *Node) GetPolicy(context.Context) (policy.Policy, error) {
	if a.Policies == nil {
		return policy.Policy{}, fault.New(fault.NotFound, "the worker of node %s has no policy", a.Name)
	}
	return a.Policies.Policy(), nil
}

// judge returns the rules of the policy that a component breaks, and what the policy is
// called.
func (a *Node) judge(ctx context.Context, s policy.Subject) (name string, broken []policy.Violation, err error) {
	if a.Policies == nil {
		return "", nil, nil
	}
	s.Host = a.Policies.Place
	s.RouteLow, s.RouteHigh = a.PortLow, a.PortHigh
	found, err := ask(ctx, func(context.Context) (judged, error) {
		p := a.Policies.Policy()
		return judged{p.Name(), p.Judge(s)}, nil
	}, func() *fault.Error {
		return fault.New(fault.Unavailable, "the file systems of %s do not answer", a.Name).
			WithHint("a mount of a volume may hang: compare df with the volumes of the component")
	})
	return found.name, found.broken, err
}

// judged is what a policy has found.
type judged struct {
	name   string
	broken []policy.Violation
}

// permit fails if the policy forbids a container. One that it has let run before may run
// again if the deployment only restores what was released.
func (a *Node) permit(ctx context.Context, c activities.ComponentSpec) error {
	subject := policy.Subject{Component: c.Definition, Image: c.Image}
	for _, route := range c.Routes {
		subject.RoutePorts = append(subject.RoutePorts, route.HostPort)
	}
	name, broken, err := a.judge(ctx, subject)
	if err != nil || len(broken) == 0 {
		return err
	}
	if c.Again && a.admitted(c) {
		return nil
	}
	return a.forbidden(name, "component "+c.Definition.Name, broken)
}

// forbidden is the fault of what the policy forbids.
func (a *Node) forbidden(name, what string, broken []policy.Violation) *fault.Error {
	f := fault.New(fault.Forbidden, "%s", policy.Sentence("node "+a.Name, name, what, broken)).
		WithHint("see its rules: mcp node policy %s; its owner changes them there", a.Name)
	f.Node = a.Name
	return f
}

// admitted reports whether the policy has let the component run here before, or whether it
// ran here when the policy began.
func (a *Node) admitted(c activities.ComponentSpec) bool {
	return a.Admissions != nil &&
		(a.Admissions.Noted(policy.Fingerprint(c.Service, c.Definition)) || a.Admissions.Noted(specPrint(c.Service, c.Definition.Name, c.Spec)))
}

// admit notes that the policy lets a component run here.
func (a *Node) admit(ctx context.Context, c activities.ComponentSpec) error {
	if a.Policies == nil || a.Admissions == nil {
		return nil
	}
	if err := a.BeginAdmissions(ctx); err != nil {
		return err
	}
	if err := a.Admissions.Note(policy.Fingerprint(c.Service, c.Definition)); err != nil {
		return fault.Wrap(fault.Internal, err, "run container %s", c.Container())
	}
	return nil
}

// BeginAdmissions notes, once, the containers that run here when the policy begins: a
// reconcile lets these run again.
func (a *Node) BeginAdmissions(ctx context.Context) error {
	if a.Admissions == nil || a.Admissions.Begun() {
		return nil
	}
	here, err := a.Runtime.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: "", runtime.LabelSpec: ""}})
	if err != nil {
		return err
	}
	for _, c := range here {
		if err := a.Admissions.Note(specPrint(c.Labels[runtime.LabelService], c.Labels[runtime.LabelComponent], c.Labels[runtime.LabelSpec])); err != nil {
			return err
		}
	}
	return a.Admissions.Note("")
}

// specPrint identifies a container by the label of its specification.
func specPrint(service, component, spec string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", service, component, spec))
	return hex.EncodeToString(sum[:])
}

// pinned are the directories of the host that a container mounts, by where it finds them.
type pinned map[string]policy.FileID

// pin replaces the sources of mounts by what they lead to now, so that a link that is
// changed afterwards leads nowhere else.
func (a *Node) pin(spec *runtime.ContainerSpec) (pinned, error) {
	if a.Policies == nil {
		return nil, nil
	}
	pins := pinned{}
	spec.Volumes = slices.Clone(spec.Volumes)
	for i, text := range spec.Volumes {
		source, rest, mounts := strings.Cut(text, ":")
		if !mounts || !filepath.IsAbs(source) {
			continue
		}
		place := a.Policies.Place(source)
		if place.Problem != "" || strings.Contains(place.Path, ":") {
			return nil, fault.New(fault.Invalid, "mount %s: it leads to %q %s", source, place.Path, place.Problem)
		}
		spec.Volumes[i] = place.Path + ":" + rest
		target, options, _ := strings.Cut(rest, ":")
		if !slices.Contains(strings.Split(options, ","), "O") { // an overlay is another file
			pins[target] = place.File
		}
	}
	return pins, nil
}

// permitPinned is permit for the mounts that a container gets in the end.
func (a *Node) permitPinned(ctx context.Context, c activities.ComponentSpec, spec runtime.ContainerSpec) error {
	name, broken, err := a.judge(ctx, policy.Subject{Component: servicedef.Component{Name: c.Definition.Name, Volumes: spec.Volumes}})
	if err != nil || len(broken) == 0 || c.Again && a.admitted(c) {
		return err
	}
	return a.forbidden(name, "component "+c.Definition.Name, broken)
}

// verify removes a container that mounts something other than what was judged: what it
// mounts was exchanged while it was created.
func (a *Node) verify(ctx context.Context, engine runtime.Runtime, id string, pins pinned) error {
	if len(pins) == 0 {
		return nil
	}
	info, err := engine.Inspect(ctx, id)
	if err != nil || info.PID == 0 {
		return nil // it has ended, and is judged again before the next one
	}
	for target, file := range pins {
		found, known := a.Policies.Mounted(info.PID, target)
		if !known || file == (policy.FileID{}) || found == file {
			continue
		}
		f := fault.New(fault.Forbidden, "container %s mounts something else on %s than the policy of node %s has judged", info.Name, target, a.Name).
			WithHint("what is mounted was exchanged meanwhile: no container may write to a directory above it")
		if err := engine.Remove(ctx, id); err != nil {
			return fmt.Errorf("%w; it is not removed: %s", f, err.Error())
		}
		return f
	}
	return nil
}

// forbiddenOf judges components for a survey.
func (a *Node) forbiddenOf(ctx context.Context, components []servicedef.Component) (name string, forbidden map[string][]policy.Violation, err error) {
	for _, c := range components {
		called, broken, err := a.judge(ctx, policy.Subject{Component: c})
		if err != nil {
			return "", nil, err
		}
		if name = called; len(broken) == 0 {
			continue
		}
		if forbidden == nil {
			forbidden = map[string][]policy.Violation{}
		}
		forbidden[c.Name] = broken
	}
	return name, forbidden, nil
}
