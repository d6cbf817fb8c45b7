package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
)

// theJob is the job that runs while a scenario's service is deployed.
const theJob = "report"

// busy has a job that notes each of its starts, and takes longer than a deploy.
func busy(tag string) text {
	return func(fc *faultCase) string {
		job := fmt.Sprintf("[[components]]\nname = %q\nimage = %q\nvolumes = [%q]\nenv = { DATA = \"/data\" }\n"+
			"cmd = [\"/app\", \"note\", \"run\", \"8s\", \"0\"]\nschedule = \"manual\"\nstop_timeout = \"2s\"\n",
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
func (fc *faultCase) judgeJob() error {
	if !fc.scenario.job {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout+fc.how.away)
	defer cancel()
	var runs []jobRun
	var problem error
	if err := await(timeout+fc.how.away, "the run of the job has ended and is cleared away", func() bool {
		runs, problem = fc.jobRuns(ctx)
		return problem == nil && !slices.ContainsFunc(runs, func(r jobRun) bool { return r.Outcome == "" }) && !fc.jobRemains(ctx)
	}); err != nil {
		return errors.Join(err, problem)
	}
	starts, err := fc.jobStarts()
	if err != nil {
		return fmt.Errorf("read the starts of the job: %w", err)
	}
	return judgeRuns(starts, runs, fc.how.name == reboot.name)
}

// judgeRuns checks that a program was started once, and the row of its run. One whose node
// has booted ends with it.
func judgeRuns(starts []string, runs []jobRun, booted bool) error {
	if len(starts) != 1 || len(runs) != 1 || runs[0].Attempts != 1 {
		return fmt.Errorf("the job was started %d times, and its runs are %+v", len(starts), runs)
	}
	if run := runs[0]; run.Outcome != "succeeded" && (!booted || run.Outcome != "failed") {
		return fmt.Errorf("the run of the job is %q: %s", run.Outcome, run.Detail)
	}
	return nil
}

// jobRun is the row of a run.
type jobRun struct {
	Outcome, Detail string
	Attempts        int
}

func (fc *faultCase) jobRuns(ctx context.Context) (runs []jobRun, err error) {
	return runs, fc.rig.ask(ctx, &runs, `select coalesce(json_agg(json_build_object('outcome', coalesce(outcome, ''), 'detail', detail, 'attempts', attempts)), '[]')
 from job_runs where service = $1`, fc.service)
}

// jobRemains reports whether a container of the job may still be there.
func (fc *faultCase) jobRemains(ctx context.Context) bool {
	all, err := fc.containers(ctx)
	return err != nil || slices.ContainsFunc(all, func(c found) bool { return c.Labels[runtime.LabelTaskKind] == "job" })
}

func TestTheCheckerSeesAJobThatDoesNotRunOnce(t *testing.T) {
	once, failed := []jobRun{{Outcome: "succeeded", Attempts: 1}}, []jobRun{{Outcome: "failed", Detail: "lost", Attempts: 1}}
	require.NoError(t, judgeRuns([]string{"run"}, once, false))
	require.NoError(t, judgeRuns([]string{"run"}, failed, true))
	require.ErrorContains(t, judgeRuns(nil, once, false), "started 0 times")
	require.ErrorContains(t, judgeRuns([]string{"run", "run"}, once, true), "started 2 times")
	require.ErrorContains(t, judgeRuns([]string{"run"}, append(once, failed...), true), "started 1 times")
	require.ErrorContains(t, judgeRuns([]string{"run"}, []jobRun{{Outcome: "succeeded", Attempts: 2}}, true), "Attempts:2")
	require.ErrorContains(t, judgeRuns([]string{"run"}, failed, false), `is "failed": lost`)
}
