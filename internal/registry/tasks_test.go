package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

// taskRecord is a run of the step "migrate" of deployment 1.
func taskRecord(id string, change ...func(*fleet.TaskRecord)) fleet.TaskRecord {
	r := fleet.TaskRecord{
		Task: fleet.Task{ID: id, Kind: fleet.StepTask, Name: "migrate"}, Service: "shop", Deployment: 1, Try: 1,
		Node: "rift", Container: "shop-migrate.run-" + id, Image: "registry.test/shop:v1", TaskResult: fleet.TaskResult{State: fleet.TaskRunning},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func TestRunsOfStepsAndJobs(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api")
	runs := func(q fleet.TaskQuery) []fleet.TaskRecord {
		t.Helper()
		q.Service = "shop"
		found, err := store.Tasks(t.Context(), q)
		require.NoError(t, err)
		return found
	}
	running := taskRecord("a")
	require.NoError(t, store.RecordTask(t.Context(), running))
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ended := taskRecord("a", func(r *fleet.TaskRecord) {
		r.TaskResult = fleet.TaskResult{
			State: fleet.TaskFailed, ExitCode: 3, Detail: "exited with code 3", Started: at, Ended: at.Add(time.Second), Log: []string{"one", "two"}, Lines: 20,
		}
	})
	require.NoError(t, store.RecordTask(t.Context(), ended))
	require.NoError(t, store.RecordTask(t.Context(), running), "a late repetition")
	found := runs(fleet.TaskQuery{Deployment: 1})
	require.Len(t, found, 1)
	found[0].Started, found[0].Ended = found[0].Started.UTC(), found[0].Ended.UTC()
	require.Equal(t, ended, found[0])

	job := taskRecord("b", func(r *fleet.TaskRecord) { r.Kind, r.Name = fleet.JobTask, "report" })
	require.NoError(t, store.RecordTask(t.Context(), job))
	require.Equal(t, "report", runs(fleet.TaskQuery{Limit: 1})[0].Name)
	require.Equal(t, "migrate", runs(fleet.TaskQuery{Kind: fleet.StepTask})[0].Name)
	require.True(t, runs(fleet.TaskQuery{Name: "report"})[0].Started.IsZero())
	require.Empty(t, runs(fleet.TaskQuery{Deployment: 2}))
}

func TestAStepIsLostWithItsDeployment(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api")
	require.NoError(t, store.RecordTask(t.Context(), taskRecord("a")))
	require.NoError(t, store.RecordTask(t.Context(), taskRecord("b", func(r *fleet.TaskRecord) { r.Kind = fleet.JobTask })))
	begin(t, store, "shop", "api")
	require.NoError(t, store.RecordTask(t.Context(), taskRecord("c", func(r *fleet.TaskRecord) { r.Deployment = 2 })))

	found, err := store.Tasks(t.Context(), fleet.TaskQuery{Service: "shop"})
	require.NoError(t, err)
	states := map[string]fleet.TaskState{}
	for _, r := range found {
		states[r.ID] = r.State
	}
	require.Equal(t, map[string]fleet.TaskState{"a": fleet.TaskLost, "b": fleet.TaskRunning, "c": fleet.TaskRunning}, states)
}
