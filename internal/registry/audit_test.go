package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

// auditEntry is the beginning of a deploy of a service.
func auditEntry(key, who, service string) fleet.AuditEntry {
	return fleet.AuditEntry{
		Key: key, At: time.Now().UTC().Truncate(time.Microsecond), Actor: fleet.Actor{Who: who, From: "laptop", Claimed: true},
		Action: fleet.Action{Verb: "deploy", Service: service}, WorkflowID: "deploy/" + service, RunID: key,
	}
}

func auditEnd(e fleet.AuditEntry, outcome, reason string) fleet.AuditEntry {
	e.At, e.Outcome, e.Error = e.At.Add(time.Second), outcome, reason
	return e
}

func TestAnActionIsInTheAuditOnce(t *testing.T) {
	store, _ := newStore(t)
	begun := auditEntry("run-1", "alice", "shop")
	for range 2 {
		require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{begun}))
	}
	list, err := store.Audit(t.Context(), fleet.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Empty(t, list[0].Outcome)
	require.True(t, list[0].Ended.IsZero())

	forged := auditEnd(begun, "failed", "no such image")
	forged.Who = "mallory"
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{forged}))
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{begun, auditEnd(begun, "succeeded", "")}))
	list, err = store.Audit(t.Context(), fleet.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	r := list[0]
	require.Equal(t, "alice", r.Who, "who began it")
	require.Equal(t, []string{"failed", "no such image"}, []string{r.Outcome, r.Error}, "the first outcome stays")
	require.True(t, r.Ended.Equal(begun.At.Add(time.Second)), r.Ended)
	require.Equal(t, []string{"deploy/shop", "run-1", "laptop", "deploy", "shop"}, []string{r.WorkflowID, r.RunID, r.From, r.Verb, r.Service})
	require.True(t, r.Claimed)
}

func TestTheAuditIsSelectedAndPaged(t *testing.T) {
	store, address := newStore(t)
	var entries []fleet.AuditEntry
	for i := range 30 {
		e := auditEntry(fmt.Sprint("run-", i), []string{"alice", "bob"}[i%2], []string{"shop", "blog", "wiki"}[i%3])
		entries = append(entries, e, auditEnd(e, "succeeded", ""))
	}
	require.NoError(t, store.RecordAudit(t.Context(), entries))
	read := func(q fleet.AuditQuery) []fleet.AuditRecord {
		t.Helper()
		list, err := store.Audit(t.Context(), q)
		require.NoError(t, err)
		return list
	}
	require.Len(t, read(fleet.AuditQuery{}), 30)
	require.Len(t, read(fleet.AuditQuery{Who: "alice"}), 15)
	require.Len(t, read(fleet.AuditQuery{Who: "alice@laptop"}), 15)
	require.Empty(t, read(fleet.AuditQuery{Who: "alice@server"}))
	require.Empty(t, read(fleet.AuditQuery{Who: `' or true --`}))
	require.Len(t, read(fleet.AuditQuery{Service: "shop", Who: "bob"}), 5)
	require.Empty(t, read(fleet.AuditQuery{Since: time.Now().Add(time.Hour)}))
	require.Len(t, read(fleet.AuditQuery{Limit: 1_000_000}), 30, "a limit beyond the greatest is that one")

	seen := map[int64]bool{}
	before := int64(0)
	for {
		page := read(fleet.AuditQuery{Before: before, Limit: 7})
		if len(page) == 0 {
			break
		}
		for i, r := range page {
			require.False(t, seen[r.ID], "an action is on one page")
			require.True(t, i == 0 || page[i-1].ID < r.ID, "oldest first")
			seen[r.ID] = true
		}
		before = page[0].ID
	}
	require.Len(t, seen, 30)
	require.Equal(t, 60, count(t, address, `select count(*) from audit`))
}

func TestWhatAClientHasWrittenIsBounded(t *testing.T) {
	store, _ := newStore(t)
	long := strings.Repeat("é", 5000)
	e := auditEntry("run\x00\xff", "al\x00ice"+long, long)
	e.From, e.Detail, e.Verb, e.Component, e.Node, e.Edge, e.WorkflowID = long, long, long, long, long, long, long
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{e, auditEnd(e, long, long)}))
	list, err := store.Audit(t.Context(), fleet.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.True(t, strings.HasPrefix(list[0].Who, "al\uFFFDice"), list[0].Who)
	require.LessOrEqual(t, len(list[0].Who), 128)
	require.LessOrEqual(t, len(list[0].Error), 1024)

	nothing := fleet.AuditEntry{Key: "nothing", At: e.At}
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{nothing}), "what is not said is recorded, too")
}

func TestTheAuditIsAppendOnly(t *testing.T) {
	store, address := newStore(t)
	e := auditEntry("run-1", "alice", "shop")
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{e}))
	for _, statement := range []string{
		`update audit set who = 'mallory'`, `delete from audit`, `truncate audit`,
		`update audit set outcome = outcome where false; delete from audit where who = 'alice'`,
		`insert into audit (action, phase, at, who, from_host, claimed, verb) values ('run-1', 'begun', now(), 'mallory', '', false, 'deploy')
		 on conflict (action, phase) do update set who = 'mallory'`,
	} {
		require.ErrorContains(t, try(t, address, statement), "rows of the audit are not changed", statement)
	}
	list, err := store.Audit(t.Context(), fleet.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "alice", list[0].Who)
}

func TestAnActionOutlivesThePurgeOfItsService(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api")
	finish(t, store, "shop", 1, "failed")
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{auditEntry("run-1", "alice", "shop")}))
	_, err := store.Purge(t.Context(), "shop", false, func(fleet.Remains) error { return nil })
	require.NoError(t, err)
	list, err := store.Audit(t.Context(), fleet.AuditQuery{Service: "shop"})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestAnEventOfAWorkflowIsRecordedOnce(t *testing.T) {
	store, _ := newStore(t)
	at := time.Now().UTC().Truncate(time.Microsecond)
	event := fleet.Event{At: at, Since: at, Drift: fleet.Drift{Kind: fleet.EventUnaudited, Service: "shop", Detail: "deploy of shop by alice"}}
	for range 2 {
		require.NoError(t, store.RecordEvents(t.Context(), []fleet.Event{event}, nil))
	}
	events, err := store.Events(t.Context(), fleet.EventQuery{})
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "shop: unaudited: deploy of shop by alice", events[0].Line())
}
