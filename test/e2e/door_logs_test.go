package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// ending are jobs and a step of a definition. What they print is not in it.
func ending(image string) string {
	job := func(name, word, takes string, code int) string {
		return fmt.Sprintf("\n[[components]]\nname = %q\nimage = %q\nschedule = \"manual\"\ncmd = [\"/app\", \"note\", %q, %q, \"%d\"]\n", name, image, word, takes, code)
	}
	return job("backup", "saved", "0s", 0) + job("long", "slowly", "2s", 4) +
		"\n[[steps]]\nname = \"migrate\"\ncomponent = \"app\"\ncmd = [\"/app\", \"note\", \"stepped\", \"0s\", \"0\"]\n"
}

// noted is what a run prints.
func noted(word string) string { return "migrating to " + word + " <nil>\nmigrated to " + word + "\n" }

// outputsOfRuns reads what a step and jobs have printed, of which no read in Temporal has a
// word.
func (d *doorWorld) outputsOfRuns(service string) {
	t := d.plane.t
	t.Helper()
	r := d.mcp("logs", service+"/migrate")
	require.Zero(t, r.code, r)
	require.Equal(t, noted("stepped"), r.stdout)
	require.Contains(t, r.stderr, "step migrate of deployment 1 of "+service+": exited with code 0\n")
	r = d.mcp("run", service+"/backup")
	require.Zero(t, r.code, r)
	require.Equal(t, noted("saved"), r.stdout)
	for _, verb := range [][]string{{"logs", service + "/backup"}, {"job", "logs", service + "/backup"}, {"job", "logs", "-f", service + "/backup", "1"}} {
		r = d.mcp(verb...)
		require.Zero(t, r.code, "%v: %s", verb, r)
		require.Equal(t, noted("saved"), r.stdout, "%v: %s", verb, r)
	}
	r = d.mcp("run", service+"/long")
	require.Equal(t, 4, r.code, r)
	require.Equal(t, noted("slowly"), r.stdout, r)
	require.Empty(t, d.readsWith(2, "to stepped", "to saved", "to slowly"))

	r = d.plane.mcp("logs", service+"/migrate")
	require.Equal(t, noted("stepped"), r.stdout, r)
	require.NotEmpty(t, d.readsWith(3, "to stepped"), "without a gateway it is in the history")
}

// readsWith are the reads in Temporal whose histories have one of the words, when it lists
// so many of logs.
func (d *doorWorld) readsWith(logs int, words ...string) (found []string) {
	t := d.plane.t
	t.Helper()
	c := d.plane.temporal()
	byType := map[string][]string{} // ids
	require.Eventually(t, func() bool {
		clear(byType)
		listed, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{})
		if err != nil {
			return false
		}
		for _, info := range listed.GetExecutions() {
			if id := info.GetExecution().GetWorkflowId(); strings.HasPrefix(id, "read/") {
				byType[info.GetType().GetName()] = append(byType[info.GetType().GetName()], id)
			}
		}
		return len(byType[reads.LogsName]) >= logs && len(byType[reads.JobLogsName]) >= 4
	}, time.Minute, 100*time.Millisecond)
	for name, ids := range byType {
		for _, id := range ids {
			events := c.GetWorkflowHistory(t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for events.HasNext() {
				event, err := events.Next()
				require.NoError(t, err)
				for _, word := range words {
					if strings.Contains(event.String(), word) {
						found = append(found, name+": "+event.GetEventType().String()+": "+word)
					}
				}
			}
		}
	}
	return found
}

// TestAFollowBehindGateways follows a service through deploys that add, move and remove
// components, and through the death and the freezing of the gateway that it uses. No deploy
// notices, and no line is lost or comes twice.
func TestAFollowBehindGateways(t *testing.T) {
	t.Parallel()
	d := newDoorWorld(t, 2)
	private, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, private.Destroy()) })
	second := d.plane.node + "-b"
	d.host.worker("--node", d.plane.node, "--listen", "off")
	d.node(second, private.Socket()).worker("--node", second, "--listen", "off")
	silent := func(node, version string) string {
		return fmt.Sprintf("\n[[components]]\nname = \"silent\"\nnode = %q\nimage = %q\nenv = { MODE = \"deaf\" }\n", node, d.image("roaming", version))
	}
	release := func(version, more string) {
		d.source(version, "")
		d.define("roaming", d.service("roaming", version, `env = { LAST = "goodbye `+version+`" }`)+more)
	}
	release("v1", "")
	d.deploy("roaming")
	follow := d.process("logs", "roaming", "-f")
	follow.awaitLine("listening on")

	release("v2", silent(second, "v2"))
	d.deploy("roaming")
	follow.awaitLine("app: the container of deployment 2 begins on " + d.plane.node)
	follow.awaitLine("goodbye v1")
	follow.awaitLine("app: the container of deployment 1 has ended on " + d.plane.node)
	follow.awaitLine("silent: it is followed on " + second)
	follow.awaitLine("silent | not listening")

	release("v2", silent(d.plane.node, "v2"))
	d.deploy("roaming")
	follow.awaitLine("silent: it has moved from " + second + " to " + d.plane.node)
	follow.awaitLine("silent: it is followed on " + d.plane.node)
	require.Eventually(t, func() bool { return strings.Count(follow.stdout.String(), "silent | not listening") == 2 }, time.Minute, 20*time.Millisecond)

	var said []string
	say := func(line string) {
		said = append(said, line)
		d.say(d.routePort("roaming"), line)
		follow.awaitLine("app    | " + line + "\n")
	}
	say("before")
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		version := map[syscall.Signal]string{syscall.SIGKILL: "v3", syscall.SIGSTOP: "v4"}[end]
		release(version, silent(d.plane.node, version))
		deploying := d.process("deploy", "roaming", "--wait")
		d.plane.untilRunning(workflows.DeployID("roaming"))
		d.gateways[0].signal(end)
		require.Zero(t, deploying.code(4*time.Minute), deploying.stderr.String())
		require.Contains(t, d.fetch(d.routePort("roaming")), version)
		follow.awaitLine("listening on") // at once, or after the next gateway has taken over
		say("after " + version)
		if end == syscall.SIGKILL {
			d.serve(0)
			d.gateways[1].signal(syscall.SIGKILL) // so that the first one is used again
			say("again")
			d.serve(1)
			continue
		}
		d.gateways[0].signal(syscall.SIGCONT)
	}
	require.Regexp(t, regexp.MustCompile(`app: .*; trying again\n(?s:.*)app: it goes on where it was\n`), follow.stderr.String())
	for _, line := range said {
		require.Equal(t, 1, strings.Count(follow.stdout.String(), "| "+line+"\n"), line)
	}
	require.Eventually(t, func() bool {
		return d.mcp("exec", "roaming/app", "--", "/app", "say", "still there", "0").stdout == "still there\n"
	}, time.Minute, 100*time.Millisecond, "nodes are connected again")

	require.Zero(t, d.mcp("undeploy", "roaming", "-y").code)
	require.Zero(t, follow.code(time.Minute), follow.stderr.String())
	require.Contains(t, follow.stderr.String(), "app: service roaming")
}
