package key

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

// forgotten is what mcp key forget prints with --json.
type forgotten struct {
	Key string `json:"key"`
	// Services are those of which something was encrypted with it.
	Services []fleet.LostRecords `json:"services"`
	// Workflows are the ids of those that were under way, and are terminated; Schedules
	// those of the ones that are made again.
	Workflows []string `json:"workflows"`
	Schedules []string `json:"schedules"`
}

func newForget(s *session.Session) *cobra.Command {
	var o options
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget LOST-KEY",
		Short: "Give up what is encrypted with a key of which no copy is left",
		Long: `Forget removes what is encrypted with a key that every host has lost, after it has
named it: in the registry definitions of releases and of former deployments,
messages of failures, outputs of steps and of jobs; in Temporal workflows under
way, which it terminates, and schedules, which control workers make again. Until
then no control worker starts, because it could read none of that. Where the file
of keys still has the key it refuses.

What runs goes on. A service whose release is among it is deployed from its file:
mcp deploy SERVICE keeps the containers that are as the file has them. Until then
it is not restarted, its jobs do not run, and no boot of its node starts it; no
rollback leads to what is lost. Secrets are not encrypted with these keys.

Run it while the control workers are stopped, on a host that reaches Postgres and
Temporal itself: behind a gateway, on the gateway's. A copy of the key that is
found later brings nothing back.`,
		Example: "  mcp key forget 20250301-q2mx4c",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			path, err := o.path(s)
			if err != nil {
				return err
			}
			return runForget(cmd.Context(), s, path, ids[0], yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return o.add(cmd)
}

func runForget(ctx context.Context, s *session.Session, path, id string, yes bool) error {
	ring, err := keyring.Read(path)
	if err != nil {
		return err
	}
	if _, has := ring.Find(id); has {
		return fault.New(fault.Conflict, "key %s is in %s: what is encrypted with it can be read", id, path).
			WithHint("encrypt it with another key: mcp migrate; remove a key that nothing needs: mcp key remove %s", id)
	}
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	if options, err := cfg.PlainOptions(); err == nil && config.ThroughDoor(options) {
		// A gateway decrypts what it passes on, so nothing would look as if it needed the key.
		return exit.Usage(fault.New(fault.Invalid, "what a key has encrypted is not seen through a gateway, and this configuration is %s", cfg.Describe()).
			WithHint("run it on the host of a gateway, with the mcp.toml of that, which names Temporal and Postgres; in mcp dev, name its Temporal: "+
				"TEMPORAL_ADDRESS=127.0.0.1:$(cat .mcp-dev/temporal/temporal.port) mcp key forget %s", id))
	}
	url, err := session.OwnerURL(cfg)
	if err != nil {
		return exit.Usage(err)
	}
	loss := workers.Loss{PostgresURL: url, Insecure: cfg.Postgres.Insecure, Key: id}
	lost, err := workers.FindLost(ctx, loss)
	switch {
	case fault.Is(err, fault.Unavailable):
		return exit.Unreachable(fault.Of(err))
	case err != nil:
		return err
	}
	c, namespace, err := s.ConnectPlainly(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	stuck, err := workers.FindStuck(ctx, c, namespace, id)
	switch {
	case err != nil:
		return err
	case !lost.Recorded && len(lost.Records) == 0 && len(stuck.Schedules)+len(stuck.Runs) == 0:
		return unknownKey(id, lost.Keys, ring)
	}
	if err := s.Confirm(ctx, "key forget "+id, losses(id, lost.Records, stuck), yes); err != nil {
		return err
	}
	begun := fleet.AuditEntry{
		Key: "key forget/" + session.Nonce(), At: time.Now(), Actor: s.Actor(),
		Action: fleet.Action{Verb: "key forget", Detail: fmt.Sprintf("%s, of %s", id, ui.Counted(len(lost.Records), "service"))},
	}
	ended := begun
	ended.Outcome = string(workflows.Succeeded)
	if err := stuck.End(ctx, c, namespace, id); err != nil {
		return err
	}
	if err := workers.ForgetKey(ctx, loss, begun, ended); err != nil {
		return err
	}
	return showForgotten(s, id, lost.Records, stuck)
}

// unknownKey returns the error of a key with which nothing is encrypted.
func unknownKey(id string, recorded []string, ring keyring.Ring) error {
	f := fault.New(fault.NotFound, "the registry has nothing that is encrypted with key %s", id)
	missing := slices.DeleteFunc(recorded, func(key string) bool { _, has := ring.Find(key); return has })
	if len(missing) > 0 {
		return f.WithHint("it needs, and the file of keys lacks: %s", strings.Join(missing, ", "))
	}
	return f.WithHint("the file of keys has all that it needs: mcp key list")
}

// losses returns what is lost with a key, by name.
func losses(id string, records []fleet.LostRecords, stuck workers.Stuck) []string {
	if len(records)+len(stuck.Schedules)+len(stuck.Runs) == 0 {
		return []string{"the record of key " + id + ", with which nothing is encrypted any more"}
	}
	var lines []string
	for _, r := range records {
		lines = append(lines, r.Service+": "+strings.Join(parts(r), ", "))
	}
	for _, run := range stuck.Runs {
		lines = append(lines, "workflow "+run.GetWorkflowId()+", which cannot go on: it is terminated")
	}
	for _, schedule := range stuck.Schedules {
		lines = append(lines, "schedule "+schedule+", which cannot be read: it is made again")
	}
	return append(lines, "for good: a host that has a copy of key "+id+" could read all of it; look with mcp key list there")
}

// parts returns what a service loses.
func parts(r fleet.LostRecords) []string {
	var all []string
	if r.Release > 0 {
		all = append(all, fmt.Sprintf("the definition of release %d, which runs on", r.Release))
	}
	if len(r.Deployments) > 0 {
		n := len(r.Deployments)
		all = append(all, fmt.Sprintf("the %s of %s %s, to which no rollback leads then", plural(n, "definition"), plural(n, "deployment"), ranges(r.Deployments)))
	}
	if r.Given {
		all = append(all, "the definition that was given last")
	}
	if r.Failures > 0 {
		all = append(all, "the "+plural(r.Failures, "message")+" of "+ui.Counted(r.Failures, "failed deployment"))
	}
	if r.Steps > 0 {
		all = append(all, "the output of "+ui.Counted(r.Steps, "step"))
	}
	if r.Runs > 0 {
		all = append(all, "the output of "+ui.Counted(r.Runs, "run")+" of jobs")
	}
	return all
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// ranges joins sorted numbers: "1–3, 7".
func ranges(numbers []int) string {
	var all []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		text := fmt.Sprint(numbers[i])
		if j > i {
			text += fmt.Sprintf("–%d", numbers[j])
		}
		all = append(all, text)
		i = j + 1
	}
	return strings.Join(all, ", ")
}

func showForgotten(s *session.Session, id string, records []fleet.LostRecords, stuck workers.Stuck) error {
	if s.JSON {
		result := forgotten{id, append([]fleet.LostRecords{}, records...), []string{}, append([]string{}, stuck.Schedules...)}
		for _, run := range stuck.Runs {
			result.Workflows = append(result.Workflows, run.GetWorkflowId())
		}
		s.PrintJSON(result)
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "key %s is forgotten\n", id)
	var again []string
	for _, r := range records {
		if r.Release > 0 {
			again = append(again, r.Service)
		}
	}
	if len(again) > 0 {
		s.Say("start the control workers, and deploy again: mcp deploy %s", strings.Join(again, " "))
	}
	return nil
}
