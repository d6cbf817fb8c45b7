package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows"
)

type rotateOptions struct {
	source
	revoke   string
	deadline time.Duration
}

func newRotate(s *session.Session) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate SERVICE/NAME",
		Short: "Replace a secret by a new value, and then revoke the old one",
		Long: `Rotate takes a new value as mcp secret set does, from --exec, --file or standard
input, and deploys the release of the service with it: the components, jobs and
steps that have the secret, and nothing else. Where one of them does not become
healthy, the release is put back, the new version is withdrawn, and nothing is
revoked.

When all are healthy, --revoke COMMAND runs here, in a shell, because the right
to revoke a value is the operator's and not a node's. It finds MCP_SECRET
(SERVICE/NAME), MCP_VERSION and MCP_FORMER_VERSION in its environment, and no
value. Until it has succeeded the rotation is under way: the same command runs
it again, without another new value, also from another machine, and after an
interrupt. --revoke true ends a rotation whose old value was revoked by hand.
Without --revoke nothing is revoked.`,
		Example: "  mcp secret rotate shop/db --exec ./new-password --revoke ./drop-old-password\n" +
			"  openssl rand -base64 24 | mcp secret rotate shop/session-key",
		Args: session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return runRotate(cmd.Context(), s, args[0], o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.command, "exec", "", "take the new value from what this command prints")
	flags.StringVar(&o.file, "file", "", "take the new value from this file, as it is")
	flags.StringVar(&o.revoke, "revoke", "", "run this command when everything is healthy with the new value")
	flags.DurationVar(&o.deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

func runRotate(ctx context.Context, s *session.Session, target string, o rotateOptions) error {
	service, name, err := parse(target)
	if err != nil {
		return err
	}
	target = service + "/" + name
	d, err := open(ctx, s)
	if err != nil {
		return err
	}
	defer d.close()
	run, err := d.rotationUnderWay(ctx, service, name)
	if err != nil {
		return err
	}
	if run == nil {
		if run, err = d.beginRotation(ctx, service, name, o); err != nil {
			return err
		}
	}
	return d.finishRotation(ctx, run, target, o.revoke)
}

// rotationUnderWay returns the rotation of the secret that has not ended; nil if there is
// none.
func (d *desk) rotationUnderWay(ctx context.Context, service, name string) (client.WorkflowRun, error) {
	id := workflows.RotationID(service, name)
	described, err := d.client.DescribeWorkflow(ctx, id, "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return nil, nil
	case err != nil:
		return nil, exit.Temporal(err)
	case described.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return nil, nil
	}
	d.Say("attached to the rotation of %s/%s that was begun %s ago: no new value is taken", service, name, time.Since(described.WorkflowStartTime).Round(time.Second))
	return d.client.GetWorkflow(ctx, id, described.WorkflowExecution.RunID), nil
}

// beginRotation takes a new value and begins to rotate the secret.
func (d *desk) beginRotation(ctx context.Context, service, name string, o rotateOptions) (client.WorkflowRun, error) {
	found, err := d.read(ctx, service)
	if err != nil {
		return nil, err
	}
	secret, err := existing(found.Secrets, service, name)
	if err != nil {
		return nil, err
	}
	if r := found.Release; r == nil || r.Definition == nil || len(r.Components)+len(r.Jobs) == 0 || !r.Active {
		return nil, fault.New(fault.Conflict, "%s does not run: there is nothing to rotate in it", service).
			WithHint("set the value, and start or deploy the service: mcp secret set %s/%s", service, name)
	}
	to, err := d.recipientsOf(ctx, service, name, places{}, found)
	if err != nil {
		return nil, err
	}
	value, err := o.read(ctx, d.Session, service+"/"+name)
	if err != nil {
		return nil, err
	}
	in := workflows.RotateSecretInput{Former: secret.Newest, Revoke: o.revoke != "", Deadline: o.deadline}
	in.Who, in.From = d.Identity()
	if in.Mark, err = d.key.Mark(service, name, value); err != nil {
		return nil, err
	}
	if current, kept := secret.Current(); kept && current.Marked(d.key.Signer(), in.Mark) {
		return nil, fault.New(fault.Invalid, "the new value of %s/%s is that of version %d: nothing is rotated, and nothing revoked", service, name, current.Version)
	}
	ref := secrets.Ref{Service: service, Name: name, Version: found.Next(service, name)}
	if in.Envelope, err = secrets.Seal(ref, value, to, d.key); err != nil {
		return nil, err
	}
	run, err := d.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.RotationID(service, name), TaskQueue: workflows.Queue, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:         fmt.Sprintf("rotate %s/%s for %s", service, name, in.Who),
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.SearchService.ValueSet(service)),
	}, workflows.RotateSecretName, in)
	if err != nil {
		return nil, exit.Temporal(err)
	}
	d.Say("deploying %s with version %d of %s", service, ref.Version, name)
	return run, nil
}

// rotationPause is the time between two reads of a rotation.
const rotationPause = 300 * time.Millisecond

// finishRotation waits until everything is healthy with the new value, revokes the old
// one, and shows how the rotation has ended.
func (d *desk) finishRotation(ctx context.Context, run client.WorkflowRun, target, revoke string) error {
	var result workflows.Rotation
	ended := make(chan error, 1)
	go func() { ended <- run.Get(ctx, &result) }()
	ticker := time.NewTicker(rotationPause)
	defer ticker.Stop()
	for tries := 0; ; {
		select {
		case err := <-ended:
			return d.rotated(ctx, err, target, &result)
		case <-ticker.C:
		}
		state, revoking := d.rotation(ctx, run)
		if !revoking || tries > 0 {
			continue
		}
		if revoke == "" {
			return fault.New(fault.Conflict, "version %d of %s runs, and version %d has not been revoked yet", state.Version, target, state.Former).
				WithHint("revoke it: mcp secret rotate %s --revoke COMMAND; or, if it is revoked: mcp secret rotate %s --revoke true", target, target)
		}
		tries++
		d.Say("%s is healthy with version %d; revoking version %d", strings.Join(state.Components, ", "), state.Version, state.Former)
		if err := d.revoke(ctx, revoke, target, state); err != nil {
			return err
		}
		if err := d.client.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), workflows.SignalRevoked, nil); err != nil {
			return exit.Temporal(err)
		}
	}
}

// rotation returns how a rotation stands, and whether it waits for its old value to be
// revoked. If no answer comes, it asks again.
func (d *desk) rotation(ctx context.Context, run client.WorkflowRun) (state workflows.Rotation, revoking bool) {
	answer, err := d.client.QueryWorkflow(ctx, run.GetID(), run.GetRunID(), workflows.QueryRotation)
	if err == nil {
		err = answer.Get(&state)
	}
	return state, err == nil && state.Revoking
}

// revoke runs the command that revokes the old value.
func (d *desk) revoke(ctx context.Context, command, target string, state workflows.Rotation) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = d.Stdin, d.Stderr, d.Stderr
	cmd.Env = append(os.Environ(), "MCP_SECRET="+target, "MCP_VERSION="+strconv.Itoa(state.Version), "MCP_FORMER_VERSION="+strconv.Itoa(state.Former))
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return exit.Interrupted
	case err != nil:
		return fault.Wrap(fault.Conflict, err, "version %d of %s runs, and the command of --revoke has failed", state.Version, target).
			WithHint("run it again, which takes no new value: mcp secret rotate %s --revoke COMMAND", target)
	}
	return nil
}

// rotated shows how a rotation has ended.
func (d *desk) rotated(ctx context.Context, err error, target string, result *workflows.Rotation) error {
	switch {
	case ctx.Err() != nil:
		d.Say("the rotation goes on; the same command attaches to it")
		return exit.Interrupted
	case err != nil:
		f := *workflows.FaultOf(err)
		if workflows.ResultOf(err, result) && !result.Healthy {
			f.Message = fmt.Sprintf("%s is not rotated, and nothing is revoked: %s", target, f.Message)
		}
		return &f
	}
	if d.JSON {
		d.PrintJSON(*result)
		return nil
	}
	text := fmt.Sprintf("%s: version %d in %s", target, result.Version, strings.Join(result.Components, ", "))
	if result.Revoked {
		text += fmt.Sprintf("; version %d is revoked", result.Former)
	}
	_, _ = fmt.Fprintln(d.Stdout, text)
	return nil
}
