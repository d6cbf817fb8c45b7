package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// BuildInput names the images to build.
type BuildInput struct {
	Definition servicedef.Service `json:"definition"`
	// Images names entries of [build.images]; empty means all.
	Images []string `json:"images,omitempty"`
	// Force also builds and pushes images that the image registry has already.
	Force bool `json:"force,omitempty"`
	// NoCache runs every step of a build again.
	NoCache  bool          `json:"no_cache,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"`
	Builder  string        `json:"builder,omitempty"`
	Who      string        `json:"who"`
	From     string        `json:"from"`
}

// Hash is equal for two builds that ask for the same thing.
func (in BuildInput) Hash() string {
	return fmt.Sprint(in.Definition.Hash(), in.Images, in.Force, in.NoCache)
}

// BuildResult is how a build ended.
type BuildResult struct {
	Service    string        `json:"service"`
	WorkflowID string        `json:"workflow_id"`
	RunID      string        `json:"run_id"`
	Outcome    Outcome       `json:"outcome"`
	Error      *fault.Error  `json:"error,omitempty"`
	Images     []ImageResult `json:"images"`
	ElapsedMS  int64         `json:"elapsed_ms"`
}

// ImageResult is what became of one image.
type ImageResult struct {
	Image  string `json:"image"`
	Digest string `json:"digest"`
	Built  bool   `json:"built"`
	Pushed bool   `json:"pushed"`
	// LogFile is the file with the build's whole output, on the builder.
	LogFile string `json:"log_file,omitempty"`
}

// Build builds and pushes the images of a service that the image registry
// lacks. It touches no node.
func Build(ctx workflow.Context, in BuildInput) (*BuildResult, error) {
	if in.Deadline <= 0 {
		in.Deadline = DefaultDeadline
	}
	info, started := workflow.GetInfo(ctx), workflow.Now(ctx)
	r := &BuildResult{
		Service:    in.Definition.Name,
		WorkflowID: info.WorkflowExecution.ID,
		RunID:      info.WorkflowExecution.RunID,
		Outcome:    Unchanged,
		Images:     []ImageResult{},
	}
	err := buildAll(ctx, in, started.Add(in.Deadline), r)
	r.ElapsedMS = workflow.Now(ctx).Sub(started).Milliseconds()
	switch {
	case err != nil && ctx.Err() != nil:
		r.Outcome = Cancelled
		r.Error = fault.New(fault.Conflict, "the build of %s was cancelled", r.Service)
	case err != nil:
		r.Outcome, r.Error = Failed, attempt.FaultOf(err)
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, SearchOutcome.ValueSet(string(r.Outcome))); err != nil {
		workflow.GetLogger(ctx).Warn("outcome is not searchable", "error", err)
	}
	if r.Error != nil {
		return nil, failure(r.Outcome, r.Error, *r)
	}
	return r, nil
}

// buildAll makes each image that is missing, side by side.
func buildAll(ctx workflow.Context, in BuildInput, deadline time.Time, r *BuildResult) error {
	g := call.NewGroup(ctx)
	for _, image := range allImages(in.Definition) {
		_, ours := in.Definition.ImageBuild(image)
		if !ours || len(in.Images) > 0 && !slices.Contains(in.Images, servicedef.ImageName(image)) {
			continue
		}
		r.Images = append(r.Images, ImageResult{Image: image})
		i := len(r.Images) - 1
		g.Go(func(ctx workflow.Context) error {
			made, err := buildOne(ctx, in, image, deadline)
			r.Images[i] = ImageResult{Image: image, Digest: made.Digest, Built: made.Built, Pushed: made.Pushed, LogFile: made.LogFile}
			if made.Pushed {
				r.Outcome = Succeeded
			}
			return err
		})
	}
	return g.Wait(ctx)
}

// buildOne makes one image, unless it exists already.
func buildOne(ctx workflow.Context, in BuildInput, image string, deadline time.Time) (madeImage, error) {
	if !in.Force {
		var found oncontrol.ImageExistsResult
		if err := findImage(ctx, image, call.Until(ctx, deadline)).Get(ctx, &found); err != nil {
			return madeImage{}, call.TimeoutFault(err, "look up image "+image)
		}
		if found.Exists {
			return madeImage{Digest: found.Digest}, nil
		}
	}
	if err := requireBuild(in.Definition, image, in.Builder); err != nil {
		return madeImage{}, err
	}
	return makeImage(ctx, in.Definition, image, in.Builder, in.NoCache, deadline)
}
