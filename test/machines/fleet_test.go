package machines_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// fleet is the machines, on one network.
type fleet struct {
	plane, operator, node, elsewhere on
	// password is Postgres'.
	password string
}

// newFleet boots the machines. Those of the control plane and of the image registry have
// what is not mcp's; the others nothing but their systems.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcp-machines-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) // Postgres runs as another user
	require.NoError(t, certify(dir))

	f := &fleet{}
	for name, m := range map[string]*on{plane: &f.plane, operator: &f.operator, node: &f.node, elsewhere: &f.elsewhere} {
		booted, err := boot(dir, name, addresses[name])
		require.NoError(t, err)
		t.Cleanup(booted.off)
		*m = on{booted, t}
	}
	const bridge = "lan"
	require.NoError(t, errors.Join(
		f.elsewhere.ip("link", "add", bridge, "type", "bridge"),
		f.elsewhere.ip("addr", "add", f.elsewhere.address+"/24", "dev", bridge),
		f.elsewhere.ip("link", "set", bridge, "up"),
	))
	for _, m := range []on{f.plane, f.operator, f.node} {
		require.NoError(t, m.plugIn(f.elsewhere.machine, bridge))
	}

	repository, err := filepath.Abs("../..")
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	f.plane.run("mkdir -p /root/checkout/bin && ln -s " + repository + "/deploy /root/checkout/ && ln -s " + self + " /root/checkout/bin/mcp")
	var both errgroup.Group
	both.Go(func() (err error) {
		f.password, err = f.plane.start("machine-plane " + filepath.Join(repository, "bin", "temporal"))
		return err
	})
	both.Go(func() error {
		app := filepath.Join(dir, "app")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", app, "../e2e/testdata/app")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			return errors.New(string(said))
		}
		_, err := f.elsewhere.start("machine-images " + app)
		return err
	})
	require.NoError(t, both.Wait())
	t.Cleanup(f.clear)
	t.Cleanup(f.report)
	return f
}

// clear removes the node's containers. They would end with it, and leave their control
// groups behind.
func (f *fleet) clear() {
	const socket = "/run/podman/podman.sock"
	if _, err := os.Lstat(f.node.file(socket)); err != nil {
		return
	}
	cmd := f.node.shell(context.Background(), "podman --url unix://"+socket+" rm --all --force --time 0")
	if said, err := cmd.CombinedOutput(); err != nil {
		f.node.t.Errorf("remove the node's containers: %v: %s", err, said)
	}
}

// report shows what the units have printed, if the test has failed.
func (f *fleet) report() {
	if !f.plane.t.Failed() {
		return
	}
	for _, m := range []on{f.plane, f.node} {
		logs, _ := filepath.Glob(m.file("/run/log/*.log")) // the pattern is well formed
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			m.t.Logf("%s: %s\n%s", m.name, filepath.Base(log), text)
		}
	}
}
