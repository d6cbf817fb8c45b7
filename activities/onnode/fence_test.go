package onnode_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/attempt/attempttest"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// hold blocks one call of the engine. Reached is closed when it
// blocks; letGo lets the engine carry it out.
func (h *host) hold(method, name string) (reached <-chan struct{}, letGo func()) {
	at, on := make(chan struct{}), make(chan struct{})
	held := false
	h.engine.Before = func(m, n string) error {
		if m == method && n == name && !held {
			held = true
			close(at)
			<-on
		}
		return nil
	}
	return at, func() { close(on) }
}

// beside is the same worker, running a second activity at the same time. Its
// activities end with ctx.
func (h *host) beside(ctx context.Context) *host {
	return &host{Node: h.Node, engine: h.engine, env: attempttest.New(ctx, h.Node)}
}

// changes are the calls so far that change something.
func (h *host) changes() []runtime.FakeCall {
	return slices.DeleteFunc(h.engine.Calls(), func(c runtime.FakeCall) bool { return c.Method == "Inspect" || c.Method == "Summaries" })
}

// begin runs something in the background; the channel gives what it returns.
func begin[T any](do func() T) <-chan T {
	done := make(chan T, 1)
	go func() { done <- do() }()
	return done
}

// survey is the result of a survey by deployment n: names with deployment and
// whether the container runs.
func (h *host) survey(n int) (string, *fault.Error) {
	value, err := h.env.ExecuteActivity(h.Survey, onnode.SurveyInput{Service: "shop", Deployment: n})
	if err != nil {
		return "", attempt.FaultOf(err)
	}
	var found onnode.SurveyResult
	if err := value.Get(&found); err != nil {
		return "", fault.Of(err)
	}
	var words []string
	for _, c := range found.Containers {
		word := c.Name
		if !c.Running {
			word += "(stopped)"
		}
		words = append(words, word)
	}
	return strings.Join(words, " "), nil
}

// late is a step of deployment 2 that is past the fence, in the middle of a
// call to the engine, when deployment 3 begins.
type late struct {
	// before brings the node to where the step begins.
	before func(t *testing.T, h *host)
	step   func(h *host) *fault.Error
	// method and name are the call in which the step blocks.
	method, name string
	// sees is what the survey of deployment 3 finds.
	sees string
}

// updated has release 1 running, and its successor beside it.
func updated(t *testing.T, h *host) {
	t.Helper()
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	require.Nil(t, h.run(api(2)))
}

func lateSteps() map[string]late {
	return map[string]late{
		"StopContainer": {
			before: updated,
			step: func(h *host) *fault.Error {
				return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}})
			},
			method: "Stop", name: "shop-api", sees: "shop-api(stopped) shop-api.next",
		},
		"RunContainer": {
			before: func(t *testing.T, h *host) {
				require.Nil(t, h.run(api(1)))
				require.Nil(t, h.cutOver(1))
			},
			step:   func(h *host) *fault.Error { return h.run(api(2)) },
			method: "Run", name: "shop-api.next", sees: "shop-api shop-api.next",
		},
		"CutOver": {
			before: updated,
			step:   func(h *host) *fault.Error { return h.cutOver(2) },
			method: "Rename", name: "shop-api", sees: "shop-api.next shop-api.prev",
		},
		"Retire": {
			before: func(t *testing.T, h *host) {
				updated(t, h)
				require.Nil(t, h.cutOver(2))
			},
			step: func(h *host) *fault.Error {
				return h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: 2, Containers: fleet.Refs("shop-api")})
			},
			method: "Stop", name: "shop-api.prev", sees: "shop-api shop-api.prev(stopped)",
		},
		"Restore": {
			before: func(t *testing.T, h *host) {
				updated(t, h)
				require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
				_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{
					Name: "shop-web", Image: image, Labels: map[string]string{runtime.LabelService: "shop"},
				})
				require.NoError(t, err)
				require.NoError(t, h.engine.Stop(t.Context(), "shop-web", 0))
			},
			step: func(h *host) *fault.Error {
				return h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 2, Recovery: plan.Recovery{
					Remove: fleet.Refs("shop-api.next"), Start: fleet.Refs("shop-api", "shop-web"),
				}})
			},
			method: "Start", name: "shop-api", sees: "shop-api shop-web(stopped)",
		},
	}
}

func TestANewerDeploymentSurveysWhenOlderStepsHaveEnded(t *testing.T) {
	for name, test := range lateSteps() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			test.before(t, h)
			reached, letGo := h.hold(test.method, test.name)
			step := begin(func() *fault.Error { return test.step(h) })
			<-reached
			newer := h.beside(t.Context())
			type answer struct {
				sees  string
				fault *fault.Error
			}
			survey := begin(func() answer {
				sees, f := newer.survey(3)
				return answer{sees, f}
			})
			over := <-step
			require.NotNil(t, over, "it fails at once, and need not wait for the engine")
			require.Equal(t, fault.Conflict, over.Kind, over.Message)
			stillWaiting(t, survey)
			letGo()
			require.Equal(t, answer{sees: test.sees}, <-survey, "the call that was under way, and none after it")
		})
	}
}

// An engine that never answers does not hold the node for ever: after a bound the step
// is given up, and the next one goes on. What hangs begins no further call.
func TestAStepThatHangsIsGivenUp(t *testing.T) {
	for name, test := range lateSteps() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				test.before(t, h)
				reached, letGo := h.hold(test.method, test.name)
				step := begin(func() *fault.Error { return test.step(h) })
				<-reached
				over := <-step
				require.NotNil(t, over)
				require.Equal(t, fault.Unavailable, over.Kind, over.Message)
				require.Contains(t, over.Message, "no progress within 1m30s")

				next := h.beside(t.Context())
				require.Nil(t, next.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 2, Closing: true}), "the undo goes on")
				_, f := next.survey(3)
				require.Nil(t, f, "and so does a newer deployment")
				before := h.changes()
				letGo()
				synctest.Wait()
				require.Equal(t, before, h.changes(), "the call that hung is the last one")
			})
		})
	}
}

func TestEveryStepOfANewerDeploymentWaitsForAnOlderOne(t *testing.T) {
	steps := map[string]func(h *host) *fault.Error{
		"StopContainer": func(h *host) *fault.Error {
			return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 3, Container: fleet.Ref{Name: "shop-api"}})
		},
		"RunContainer": func(h *host) *fault.Error { return h.run(api(3)) },
		"CutOver":      func(h *host) *fault.Error { return h.cutOver(3) },
		"Retire": func(h *host) *fault.Error {
			return h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: 3, Containers: fleet.Refs("shop-api")})
		},
		"Restore": func(h *host) *fault.Error {
			return h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 3})
		},
	}
	for name, newerStep := range steps {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			updated(t, h)
			reached, letGo := h.hold("Stop", "shop-api")
			older := begin(func() *fault.Error {
				return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}})
			})
			<-reached
			newer := h.beside(t.Context())
			done := begin(func() *fault.Error { return newerStep(newer) })
			require.Equal(t, fault.Conflict, (<-older).Kind)
			stillWaiting(t, done)
			letGo()
			<-done
		})
	}
}

func TestAnOlderStepThatComesLateIsKeptOut(t *testing.T) {
	for name, test := range lateSteps() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			test.before(t, h)
			before, f := h.survey(3)
			require.Nil(t, f)
			require.Equal(t, fault.Conflict, test.step(h).Kind)
			after, f := h.survey(3)
			require.Nil(t, f)
			require.Equal(t, before, after)
		})
	}
}

func TestTheStepsOfOneDeploymentRunInParallel(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	reached, letGo := h.hold("Run", "shop-api.next")
	starting := begin(func() *fault.Error { return h.run(api(2)) })
	<-reached
	second := h.beside(t.Context())
	require.Nil(t, second.do(second.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}}))
	_, f := second.survey(2)
	require.Nil(t, f, "its own survey waits for nothing either")
	other := api(2, func(c *activities.ComponentSpec) { c.Service = "other" })
	require.Nil(t, second.run(other), "nor does another service's step")
	letGo()
	require.Nil(t, <-starting)
}

// A cut-over and an undo run alone: a late step before them has ended, and
// a late step after them finds their result.
func TestACutOverWaitsForALateStartOfItsOwn(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	reached, letGo := h.hold("Inspect", "shop-api.next")
	repeated := begin(func() *fault.Error { return h.run(api(1)) })
	<-reached
	second := h.beside(t.Context())
	cut := begin(func() *fault.Error { return second.cutOver(1) })
	stillWaiting(t, cut)
	letGo()
	require.Nil(t, <-cut)
	<-repeated
	require.Equal(t, []string{"shop-api:1:running"}, h.names(t), "there is no second one")
}

func TestALateStopLeavesTheSuccessorAlone(t *testing.T) {
	h := newHost(t)
	updated(t, h)
	require.Nil(t, h.cutOver(2))
	require.Nil(t, h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}}))
	require.ElementsMatch(t, []string{"shop-api:2:running", "shop-api.prev:1:running"}, h.names(t))
}

// An activity ends at once when its workflow does, but the step is under way until
// the engine has carried the call out.
func TestAStepThatIsCancelledIsUnderWayUntilTheEngineHasAnswered(t *testing.T) {
	h := newHost(t)
	updated(t, h)
	require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
	reached, letGo := h.hold("Start", "shop-api")
	ctx, terminate := context.WithCancel(t.Context())
	cancelled := h.beside(ctx)
	step := begin(func() error {
		_, err := cancelled.env.ExecuteActivity(h.Restore, onnode.RestoreInput{
			Service: "shop", Deployment: 2, Recovery: plan.Recovery{Start: fleet.Refs("shop-api")},
		})
		return err
	})
	<-reached
	terminate()
	require.Error(t, <-step)
	newer := h.beside(t.Context())
	survey := begin(func() string {
		sees, _ := newer.survey(3)
		return sees
	})
	stillWaiting(t, survey)
	letGo()
	require.Equal(t, "shop-api shop-api.next", <-survey)
}

func TestASurveyNamesTheStepThatItWaitsFor(t *testing.T) {
	h := newHost(t)
	updated(t, h)
	reached, letGo := h.hold("Stop", "shop-api")
	step := begin(func() *fault.Error {
		return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}})
	})
	<-reached
	_, f := h.beside(t.Context()).survey(3)
	require.NotNil(t, f)
	require.Equal(t, fault.Unavailable, f.Kind, "so that it is asked again")
	require.Equal(t, "deployment 2 of shop still has a step under way", f.Message)
	letGo()
	<-step
	sees, f := h.survey(3)
	require.Nil(t, f)
	require.Equal(t, "shop-api(stopped) shop-api.next", sees)
}

// A worker that has just started finds deployments by the labels alone,
// and there are none before the first container is created. A Restore without the
// service's lock therefore names the fence of its survey.
func TestARestoreActsOnlyWhileTheFenceIsTheSame(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	fence := func() string {
		value, err := h.env.ExecuteActivity(h.Survey, onnode.SurveyInput{Service: "shop", Deployment: 2})
		require.NoError(t, err)
		var found onnode.SurveyResult
		require.NoError(t, value.Get(&found))
		require.NotEmpty(t, found.Fence)
		return found.Fence
	}
	restore := func(fence string) *fault.Error {
		return h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 2, Fence: fence, Recovery: plan.Recovery{Start: fleet.Refs("shop-api")}})
	}
	surveyed := fence()
	require.Nil(t, h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 3, Container: fleet.Ref{Name: "shop-api"}}))
	require.Equal(t, fault.Conflict, restore(surveyed).Kind)
	h.restartWorker()
	require.Equal(t, fault.Conflict, restore(surveyed).Kind, "the new worker has not seen deployment 3")
	require.Equal(t, []string{"shop-api:1:stopped"}, h.names(t))
	require.NotEqual(t, surveyed, fence())
	require.Nil(t, restore(fence()))
	require.Equal(t, []string{"shop-api:1:running"}, h.names(t))
}

// stillWaiting fails when something ends that should wait.
func stillWaiting[T any](t *testing.T, done <-chan T) {
	t.Helper()
	select {
	case got := <-done:
		t.Fatalf("it did not wait: %v", got)
	case <-time.After(50 * time.Millisecond):
	}
}
