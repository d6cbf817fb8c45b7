package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

// withJob deploys shop with a job, and returns the release.
func withJob(t *testing.T, store *registry.Store, jobs ...fleet.Job) int {
	t.Helper()
	defined := definition("shop", "api")
	for _, job := range jobs {
		defined.Components = append(defined.Components, servicedef.Component{
			Name: job.Name, Image: job.Image, Node: "rift", Schedule: "0 3 * * *", Overlap: servicedef.OverlapSkip, Keep: 2,
		})
	}
	begun, err := store.BeginDeployment(t.Context(), fleet.BeginRequest{
		Definition: defined, DefinitionHash: defined.Hash(), Verb: "deploy", WorkflowID: "deploy/shop",
		RunID: fmt.Sprintf("run-%d", time.Now().UnixNano()), Who: "ann", From: "desk",
	})
	require.NoError(t, err)
	_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: "shop", Deployment: begun.Number, Active: true, Succeeds: true, Jobs: jobs, KeptReleases: disposal.KeptReleases,
	}, publication.Routes)
	require.NoError(t, err)
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: begun.Number, Outcome: "succeeded"}))
	return begun.Number
}

func runRequest(id string) fleet.RunRequest {
	return fleet.RunRequest{Service: "shop", Job: "backup", Due: time.Now().Truncate(time.Second), WorkflowID: "job/shop/backup/" + id, RunID: id}
}

func beginRun(t *testing.T, store *registry.Store, id string) fleet.RunBegun {
	t.Helper()
	begun, err := store.BeginRun(t.Context(), runRequest(id))
	require.NoError(t, err)
	return begun
}

func endRun(t *testing.T, store *registry.Store, id string, outcome fleet.RunOutcome) {
	t.Helper()
	require.NoError(t, store.EndRun(t.Context(), fleet.RunEnd{
		RunID: id, Outcome: outcome, ExitCode: 3, Detail: "exited with code 3", Attempts: 1, Log: []string{"bye"}, Lines: 1, Keep: 2,
		Destinations: []string{"ops"},
	}))
}

var backup = fleet.Job{Name: "backup", Image: "backup:v1", Digest: "sha256:" + fmt.Sprintf("%064d", 1)}

func TestAJobIsOfTheRelease(t *testing.T) {
	store, address := newStore(t)
	withJob(t, store, backup)
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, map[string]fleet.Job{"backup": backup}, release.Jobs)
	require.Equal(t, 1, count(t, address, `select count(*) from deployments where digests->>'backup:v1' like 'sha256:%1'`),
		"a rollback finds the image of a job")

	t.Run("a pause outlives releases, also one without the job", func(t *testing.T) {
		require.NoError(t, store.PauseJob(t.Context(), "shop", "backup", "ann on desk"))
		require.NoError(t, store.PauseJob(t.Context(), "shop", "backup", "bob on desk"))
		withJob(t, store)
		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.Empty(t, release.Jobs)
		require.True(t, fault.Is(store.PauseJob(t.Context(), "shop", "backup", ""), fault.NotFound))
		withJob(t, store, backup)
		states, err := store.JobStates(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, states, 1)
		require.NotZero(t, states[0].Paused)
		require.Equal(t, "ann on desk", states[0].PausedBy, "who paused it first")
		require.Zero(t, states[0].Next(time.Now()))
		require.NoError(t, store.PauseJob(t.Context(), "shop", "backup", ""))
		states, err = store.JobStates(t.Context(), []string{"shop"})
		require.NoError(t, err)
		require.Zero(t, states[0].Paused)
		require.Empty(t, states[0].PausedBy)
		require.NotZero(t, states[0].Next(time.Now()))
	})
}

func TestRunsOfAJob(t *testing.T) {
	store, address := newStore(t)
	require.Contains(t, beginRun(t, store, "a").Refused, "never been deployed")
	release := withJob(t, store, backup)

	first := beginRun(t, store, "a")
	require.Equal(t, 1, first.Run.Number)
	require.Equal(t, release, first.Run.Release)
	require.Equal(t, "docker.io/library/backup@"+backup.Digest, first.Image)
	require.Equal(t, "backup", first.Job.Name)
	again := beginRun(t, store, "a")
	require.Equal(t, 1, again.Run.Number, "twice is once")
	require.Nil(t, again.Other)

	other := beginRun(t, store, "b")
	require.Nil(t, other.Run)
	require.Equal(t, 1, other.Other.Number, "there is never a second one beside it")
	open, err := store.OpenJobRuns(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, open, 1)

	require.NoError(t, store.RecordAttempt(t.Context(), "a", "shop-backup.run-1", 1))
	endRun(t, store, "a", fleet.RunFailed)
	endRun(t, store, "a", fleet.RunSucceeded) // too late
	runs, err := store.JobRuns(t.Context(), "shop", "backup", 0)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, fleet.RunFailed, runs[0].Outcome)
	require.Equal(t, "shop-backup.run-1", runs[0].Container)
	require.Equal(t, []string{"bye"}, runs[0].Log)
	require.Equal(t, 1, count(t, address, `select count(*) from alerts`))

	require.Equal(t, 2, beginRun(t, store, "b").Run.Number)
	endRun(t, store, "b", fleet.RunSucceeded)
	require.NoError(t, store.SkipRun(t.Context(), runRequest("c"), release, "rift", "run 2 was under way", 2))
	require.NoError(t, store.SkipRun(t.Context(), runRequest("c"), release, "rift", "run 2 was under way", 2))
	runs, err = store.JobRuns(t.Context(), "shop", "backup", 0)
	require.NoError(t, err)
	require.Len(t, runs, 2, "keep bounds them")
	require.Equal(t, []int{3, 2}, []int{runs[0].Number, runs[1].Number})
	require.Equal(t, fleet.RunSkipped, runs[0].Outcome)

	states, err := store.JobStates(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 2, states[0].Last.Number, "a run that was skipped is no result")
	require.Equal(t, states[0].Last.Ended, states[0].Succeeded)
	require.Nil(t, states[0].Running)

	events, err := store.Events(t.Context(), fleet.EventQuery{Service: "shop"})
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, "node rift: shop/backup: job-failed: run 1 failed: exited with code 3: bye", events[0].Line())
	require.Equal(t, "node rift: shop/backup: job-recovered: run 2 succeeded", events[1].Line())

	forgotten, err := store.JobRuns(t.Context(), "shop", "other", 0)
	require.Empty(t, forgotten)
	require.True(t, fault.Is(err, fault.NotFound))
}
