package registry_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

// deployment is a past one of a test: the outcome with which it ended, "" if
// it has not, and the images that it ran, as alternating references and digests.
type deployment struct {
	service, outcome string
	images           []string
}

// run makes a deployment, and returns the result of its commit.
func (d deployment) run(t *testing.T, store *registry.Store) fleet.CommitResult {
	t.Helper()
	definition := servicedef.Service{Name: d.service, Node: "rift", Active: true, Components: []servicedef.Component{}}
	var members []fleet.Member
	for pair := range slices.Chunk(d.images, 2) {
		m := member(d.service, fmt.Sprint("c", len(members)), 1)
		m.Image, m.Digest = pair[0], pair[1]
		members = append(members, m)
		definition.Components = append(definition.Components, servicedef.Component{Name: m.Component, Node: "rift", Image: m.Image})
	}
	begun, err := store.BeginDeployment(t.Context(), beginRequest(definition))
	require.NoError(t, err)
	if d.outcome == "" {
		return fleet.CommitResult{}
	}
	for i := range members {
		members[i].Deployment = begun.Number
	}
	result := commit(t, store, d.service, begun.Number, members...)
	require.Equal(t, result, commit(t, store, d.service, begun.Number, members...), "twice is once")
	if d.outcome != "lost" { // which the next one makes of it
		finish(t, store, d.service, begun.Number, d.outcome)
	}
	return result
}

// releases are those of the shop from one version to another.
func releases(from, to int) []deployment {
	var all []deployment
	for v := from; v <= to; v++ {
		all = append(all, deployment{"shop", "succeeded", version(v)})
	}
	return all
}

func version(v int) []string { return []string{tag(v), digest(v)} }

func tag(v int) string { return fmt.Sprintf("r.example/app:v%02d", v) }

func digest(v int) string { return fmt.Sprintf("sha256:%064d", v) }

func byDigest(v int) string { return "r.example/app@" + digest(v) }

func TestStaleImages(t *testing.T) {
	succeeded := func(service string, images ...string) deployment {
		return deployment{service, "succeeded", images}
	}
	for _, test := range []struct {
		name string
		// past is run in order; the result of the last commit counts.
		past          []deployment
		tags, digests []string
	}{
		{name: "five releases are kept", past: releases(1, 5)},
		{
			name: "what is older is stale", past: releases(1, 7),
			tags: []string{tag(1), tag(2)}, digests: []string{byDigest(1), byDigest(2)},
		},
		{
			name: "no more than ten releases are examined", past: releases(1, 20),
			tags:    []string{tag(6), tag(7), tag(8), tag(9), tag(10), tag(11), tag(12), tag(13), tag(14), tag(15)},
			digests: []string{byDigest(6), byDigest(7), byDigest(8), byDigest(9), byDigest(10), byDigest(11), byDigest(12), byDigest(13), byDigest(14), byDigest(15)},
		},
		{
			name: "a failed deployment is no release: it keeps nothing, and is not examined",
			past: slices.Concat(releases(1, 4), []deployment{
				{"shop", "failed", version(91)}, {"shop", "cancelled", version(92)},
				{"shop", "lost", version(93)}, {"shop", "unchanged", version(94)},
			}, releases(5, 7)),
			tags: []string{tag(1), tag(2)}, digests: []string{byDigest(1), byDigest(2)},
		},
		{
			name: "one without images is no release",
			past: slices.Concat(releases(1, 4), []deployment{succeeded("shop"), succeeded("shop")}, releases(5, 6)),
			tags: []string{tag(1)}, digests: []string{byDigest(1)},
		},
		{
			name: "a release that was rolled back to is kept again",
			past: slices.Concat(releases(1, 7), []deployment{succeeded("shop", version(2)...)}),
			tags: []string{tag(1), tag(3)}, digests: []string{byDigest(1), byDigest(3)},
		},
		{
			name: "a component that nothing has changed for long is kept",
			past: func() (past []deployment) {
				for v := 10; v <= 20; v++ {
					past = append(past, succeeded("shop", append(version(v), version(1)...)...))
				}
				return past
			}(),
			tags:    []string{tag(10), tag(11), tag(12), tag(13), tag(14), tag(15)},
			digests: []string{byDigest(10), byDigest(11), byDigest(12), byDigest(13), byDigest(14), byDigest(15)},
		},
		{
			name: "so is one that runs another digest than its reference stands for elsewhere",
			past: func() (past []deployment) {
				past = append(past, succeeded("shop", tag(1), digest(1)), succeeded("shop", tag(2), digest(2)))
				for range 5 {
					past = append(past, succeeded("shop", tag(1), digest(1), tag(1), digest(9)))
				}
				return past
			}(),
			tags: []string{tag(2)}, digests: []string{byDigest(2)},
		},
		{
			name: "a tag that has moved is kept, and its old digest is stale",
			past: slices.Concat([]deployment{succeeded("shop", tag(7), digest(1))}, releases(2, 7)),
			tags: []string{tag(2)}, digests: []string{byDigest(2), byDigest(1)},
		},
		{
			name: "what another service runs under another tag stays on nodes",
			past: slices.Concat([]deployment{succeeded("blog", "r.example/app:stable", digest(1))}, releases(1, 7)),
			tags: []string{tag(1), tag(2)}, digests: []string{byDigest(2)},
		},
		{
			name: "what another service could go back to stays",
			past: slices.Concat([]deployment{
				succeeded("blog", version(1)...), succeeded("blog", version(92)...), succeeded("blog", version(93)...),
				succeeded("blog", version(94)...), succeeded("blog", version(95)...),
			}, releases(1, 7)),
			tags: []string{tag(2)}, digests: []string{byDigest(2)},
		},
		{
			name: "a former image of another service is stale",
			past: slices.Concat([]deployment{
				succeeded("blog", version(1)...), succeeded("blog", version(92)...), succeeded("blog", version(93)...),
				succeeded("blog", version(94)...), succeeded("blog", version(95)...), succeeded("blog", version(96)...),
			}, releases(1, 7)),
			tags: []string{tag(1), tag(2)}, digests: []string{byDigest(1), byDigest(2)},
		},
		{
			name: "what another service has committed and not finished stays",
			past: slices.Concat([]deployment{{"blog", "lost", version(1)}}, releases(1, 7)),
			tags: []string{tag(2)}, digests: []string{byDigest(2)},
		},
		{
			name: "a tag that a deployment under way may just build stays",
			past: slices.Concat([]deployment{{"blog", "", version(1)}}, releases(1, 7)),
			tags: []string{tag(2)}, digests: []string{byDigest(1), byDigest(2)},
		},
		{
			name:    "a reference by digest is no builder's tag",
			past:    slices.Concat([]deployment{succeeded("shop", byDigest(1), digest(1))}, releases(2, 6)),
			digests: []string{byDigest(1)},
		},
		{
			name: "the releases of other services are not examined",
			past: slices.Concat(releases(1, 7), []deployment{succeeded("blog", version(8)...)}),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, _ := newStore(t)
			var result fleet.CommitResult
			for _, d := range test.past {
				result = d.run(t, store)
			}
			require.Equal(t, fleet.CommitResult{Digests: test.digests, Tags: test.tags}, result)
		})
	}
}

func TestALateCommitNamesNothingStale(t *testing.T) {
	store, _ := newStore(t)
	for _, d := range releases(1, 7) {
		d.run(t, store)
	}
	require.Zero(t, commit(t, store, "shop", 7))
}

func TestAStepsImageIsKeptWithItsRelease(t *testing.T) {
	store, _ := newStore(t)
	const tool = "r.example/tool:v1"
	var result fleet.CommitResult
	for v := 1; v <= disposal.KeptReleases+1; v++ {
		definition := servicedef.Service{Name: "shop", Node: "rift", Active: true,
			Components: []servicedef.Component{{Name: "web", Node: "rift", Image: tag(1)}},
			Steps:      []servicedef.Step{{Name: "migrate", Image: tool}}}
		begun, err := store.BeginDeployment(t.Context(), beginRequest(definition))
		require.NoError(t, err)
		m := member("shop", "web", begun.Number)
		m.Image, m.Digest = tag(1), digest(1)
		committed, err := store.CommitRelease(t.Context(), fleet.CommitRequest{
			Service: "shop", Deployment: begun.Number, Active: true, Members: []fleet.Member{m},
			StepImages: map[string]string{tool: digest(100 + v)}, KeptReleases: disposal.KeptReleases, FormerReleases: disposal.FormerReleases,
		}, noRoutes)
		require.NoError(t, err)
		result = disposal.StaleImages(committed.Former)
		finish(t, store, "shop", begun.Number, "succeeded")
	}
	require.Equal(t, fleet.CommitResult{Digests: []string{"r.example/tool@" + digest(101)}}, result, "that of the release before the last five")

	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, map[string]string{tool: digest(106)}, release.StepImages)
	snapshot, err := store.Snapshot(t.Context(), "shop", 2)
	require.NoError(t, err)
	require.Equal(t, map[string]string{tag(1): digest(1), tool: digest(102)}, snapshot.Digests)
}
