package threat

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCanaries gives a value to mcp through every channel for secrets, uses each, provokes
// the errors that could quote one, and runs every verb. No value may rest or show
// anywhere else.
func TestCanaries(t *testing.T) {
	r := newCanaryRig(t)
	r.lookAtProcesses(t)

	// The channels that mcp's configuration has.
	r.configure(nil)
	r.trusted = r.signers(t)
	r.configure(nil)
	r.worker("--control")
	r.worker("--node", r.name)
	r.worker("--builder", r.name)
	r.lookAtHeartbeats()

	// Those of services.
	for _, name := range []string{"hand-file", "hand-env", "hand-step", "hand-job"} {
		r.podman("secret", "create", name, r.input(name))
		t.Cleanup(func() { r.podman("secret", "rm", name) })
	}
	r.define("canary", "Containerfile.sealed", 0)
	r.setSecrets(t)
	require.Contains(t, r.within(time.Minute, "deploy", "canary", "--debug"), "a build needs the secret canary/managed-build, which is not set")
	require.Contains(t, r.must("secret", "set", "canary/managed-build", "--file", r.input("managed build")), "sealed to builder "+r.name)
	r.must("deploy", "canary", "--wait", "--debug")
	t.Cleanup(func() { r.mcp("undeploy", "canary", "-y") })
	r.requireSecrets(t, "managed exec")
	r.must("run", "canary/nightly")
	r.rotateSecrets(t)

	t.Run("errors", func(t *testing.T) { r.provoke(t); r.provokeSecrets(t) })
	t.Run("verbs", func(t *testing.T) { r.everyVerb(t) })
	t.Run("alerts", func(t *testing.T) { r.awaitAlert(t) })

	// One value is in env, which is encrypted where it rests, and not otherwise.
	r.lookAtPostgres("Postgres")
	r.lookAtDatabase()
	for _, place := range []string{"Postgres", "Temporal's database"} {
		require.False(t, r.has(place, planted), "%s has a value of env: %s", place, r.found[place][planted])
	}
	r.plant(t)
	r.lookAtTemporal()
	r.lookAtPostgres("Postgres")
	r.must("migrate", "--decrypt")
	require.Contains(t, r.lookAtPostgres("Postgres decrypted"), `"PLAIN": "`+r.value(planted), "definitions are decrypted")
	platform := r.platform.Info().Dir
	r.lookAtFiles(t, platform, filepath.Join(platform, "podman", "root"), filepath.Join(platform, "podman", "volatile"))
	r.lookAtFiles(t, r.dir, r.inputs, filepath.Join(r.dir, "keys"))
	r.report(t, []string{
		"Temporal's histories", "Temporal's database", "heartbeats and failures", "Postgres", "Postgres decrypted", "files and logs", "core dumps",
		"arguments of processes", "environments of processes", "output of commands",
	})
}

// provoke has errors that could quote a value.
func (r *canaryRig) provoke(t *testing.T) {
	for name, want := range map[string]string{"broken": "exit status 3", "stumbling": "step"} {
		file, code := "Containerfile", 0
		if name == "broken" {
			file = "Containerfile.broken"
		} else {
			code = 3
		}
		r.define(name, file, code)
		require.Contains(t, r.within(time.Minute, "deploy", name, "--debug"), want)
	}
	r.mcp("run", "canary/nightly", "--", "/app", "say", "failed", "4")

	password, token := r.value("database password"), r.value("webhook token")
	for _, c := range []struct{ section, line string }{
		{"postgres", `url_file = "` + r.file("no.url", "postgre://canary:"+password+"@127.0.0.1/canary") + `"`},
		{"postgres", `url_file = "` + r.file("bad.url", "postgres://canary:"+password+"@[::1/canary") + `"`},
		{"postgres", `url_file = "` + r.file("port.url", "postgres://canary:"+password+"@127.0.0.1:port/canary") + `"`},
		{"postgres", `url_file = "` + r.file("away.url", "postgres://canary:"+password+"@127.0.0.1:9/canary") + `"`},
		{"postgres", `url_file = "` + r.file("else.url", strings.Replace(r.databaseURL(), password, password+"x", 1)) + `"`},
		{"postgres", `url = "postgre://canary:` + password + `@127.0.0.1/canary"`},
		{"postgres", `url = "postgres://canary:` + password + `@127.0.0.1:po rt/canary"`},
		{"alerts", `webhook = "ftp://127.0.0.1/` + token + `"`},
		{"alerts", `webhook = "http://[::1/` + token + `"`},
		{"alerts", `webhook = "` + token + `"`},
		{"image_registry", `auth_file = "` + r.file("broken.json", `{"auths": {"127.0.0.1": {"auth": "`+r.value("registry password")+`"`) + `"`},
		{"image_registry", `auth_file = "` + r.file("wrong.json", r.logins(r.value("registry password")+"x")) + `"`},
		{"build", `signing_passphrase_file = "` + r.file("wrong.passphrase", r.value("signing passphrase")+"x") + `"`},
	} {
		r.configure(map[string]string{c.section: c.line})
		lines := map[string][]string{
			"postgres": {"migrate", "config show"}, "alerts": {"config show", "doctor"},
			"image_registry": {"build canary --force", "build sign " + r.registry + "/canary:v1"}, "build": {"build sign " + r.registry + "/canary:v1"},
		}
		for _, line := range lines[c.section] {
			r.mcp(strings.Fields(line)...)
			r.mcp(strings.Fields(line + " --debug --json")...)
		}
	}
	r.configure(nil)
}

// everyVerb runs the verbs that show something, in each form.
func (r *canaryRig) everyVerb(*testing.T) {
	r.mcp("restart", "canary", "--debug")
	r.mcp("rollback", "canary", "--json")
	for _, line := range []string{
		"plan canary", "status", "status canary", "ps", "history canary",
		"history canary 1", "history broken 1", "history stumbling 1", "logs canary", "events", "jobs", "job history canary/nightly",
		"job logs canary/nightly", "node list", "node status", "node show " + r.name, "doctor", "config show", "build canary", "build log broken",
		"service list", "service show canary", "service check", "service export canary", "secret list", "secret show canary/managed-file", "secret show canary/managed-build", "audit", "key list",
		"route list", "open --print", "version", "sync --dry-run", "adopt canary --dry-run",
	} {
		for _, form := range []string{"", " --json --debug"} {
			r.mcp(strings.Fields(line + form)...)
		}
	}
}

// awaitAlert has an event, and waits until its delivery to the webhook has failed.
func (r *canaryRig) awaitAlert(t *testing.T) {
	r.podman("stop", "--time", "0", "canary-app")
	select {
	case <-r.alerted:
	case <-time.After(time.Minute):
		t.Error("no alert was sent within a minute")
	}
	require.Eventually(t, func() bool { return strings.Contains(r.allPending(), "webhook") }, time.Minute, 50*time.Millisecond)
}

// plant puts a value into each place.
func (r *canaryRig) plant(t *testing.T) {
	value := r.value(planted)
	r.sql("create table planted as select '" + value + "' as value")
	r.plantInTemporal(value)
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "core.1"), []byte(value), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(r.platform.Info().Dir, "planted.log"), []byte(value), 0o600))
	r.mcp("status", value)
	for place, cmd := range map[string]*exec.Cmd{
		"arguments of processes":    exec.Command("sh", "-c", "read line", value),
		"environments of processes": {Path: "/bin/sh", Args: []string{"sh", "-c", "read line"}, Env: []string{"PLANTED=" + value}},
	} {
		pipe, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return r.has(place, planted) }, time.Minute, 10*time.Millisecond, place)
		_ = pipe.Close()
		_ = cmd.Wait()
	}
}

// hook is the webhook: it fails, and repeats nothing of the request.
func (r *canaryRig) hook(w http.ResponseWriter, _ *http.Request) {
	r.once.Do(func() { close(r.alerted) })
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = fmt.Fprintln(w, "no")
}
