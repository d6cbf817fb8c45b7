package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/runtime"
)

// theJob is the job that runs while a scenario's service is deployed.
const theJob = "report"

// busy has a job that notes each of its starts, and takes longer than a deploy.
func busy(tag string) text {
	return func(fc *faultCase) string {
		job := fmt.Sprintf("[[components]]\nname = %q\nimage = %q\nvolumes = [%q]\nenv = { DATA = \"/data\" }\n"+
			"cmd = [\"/app\", \"migrate\", \"run\", \"8s\", \"0\"]\nschedule = \"manual\"\nstop_timeout = \"2s\"\n",
			theJob, fc.rig.shared(tag), fc.jobData()+":/data")
		return definition(fc, "", component("app", fc.rig.shared(tag), ""), job)
	}
}

// jobData is the directory in which the job notes its starts.
func (fc *faultCase) jobData() string { return filepath.Join(fc.rig.volume(fc.service), "job") }

// runJob starts the job of the scenario, and returns when its program runs.
func (fc *faultCase) runJob() error {
	if !fc.scenario.job {
		return nil
	}
	if err := fc.rig.run("run", "--detach", fc.service+"/"+theJob); err != nil {
		return err
	}
	return await(timeout, "the job runs", func() bool {
		starts, err := fc.jobStarts()
		return err == nil && len(starts) > 0
	})
}

// jobStarts has an element for each time that the program of the job has been started.
func (fc *faultCase) jobStarts() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(fc.jobData(), "migrations"))
	return strings.Fields(string(text)), err
}

// judgeJob waits until the job has ended, and checks that it has run once, whatever has
// failed beside it, and is recorded as it has ended.
func (fc *faultCase) judgeJob(ctx context.Context) error {
	if !fc.scenario.job {
		return nil
	}
	var runs []jobRun
	var problem error
	if err := await(timeout, "the run of the job has ended and is cleared away", func() bool {
		runs, problem = fc.jobRuns(ctx)
		return problem == nil && !slices.ContainsFunc(runs, func(r jobRun) bool { return r.Outcome == "" }) && !fc.jobRemains(ctx)
	}); err != nil {
		return errors.Join(err, problem)
	}
	starts, err := fc.jobStarts()
	switch {
	case err != nil:
		return fmt.Errorf("read the starts of the job: %w", err)
	case len(starts) != 1 || len(runs) != 1 || runs[0].Attempts != 1:
		return fmt.Errorf("the job was started %d times, and its runs are %+v", len(starts), runs)
	}
	want := []string{"succeeded"}
	if fc.how.name == reboot.name {
		want = append(want, "failed") // its container has ended with the node
	}
	if !slices.Contains(want, runs[0].Outcome) {
		return fmt.Errorf("the run of the job has %s: %s", runs[0].Outcome, runs[0].Detail)
	}
	return nil
}

// jobRun is the row of a run.
type jobRun struct {
	Outcome, Detail string
	Attempts        int
}

func (fc *faultCase) jobRuns(ctx context.Context) (runs []jobRun, err error) {
	query := fmt.Sprintf(`select coalesce(json_agg(json_build_object('outcome', coalesce(outcome, ''), 'detail', detail, 'attempts', attempts)), '[]')
 from job_runs where service = '%s'`, fc.service)
	out, err := exec.CommandContext(ctx, "psql", fc.rig.postgres, "-X", "-A", "-t", "-c", query).Output()
	if err != nil {
		return nil, fmt.Errorf("ask Postgres: %w", err)
	}
	return runs, json.Unmarshal(out, &runs)
}

// jobRemains reports whether a container of the job may still be there.
func (fc *faultCase) jobRemains(ctx context.Context) bool {
	all, err := fc.containers(ctx)
	return err != nil || slices.ContainsFunc(all, func(c found) bool { return c.Labels[runtime.LabelTaskKind] == "job" })
}
