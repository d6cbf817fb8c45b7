package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// byHandPorts is outside the ports of routes and of this machine's own connections.
const byHandPorts = 3000

// runByHand starts the first version without mcp, under the name that mcp would give
// it.
func (fc *faultCase) runByHand() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	node, tag := fc.rig.node(fc.node), fc.rig.shared("v1")
	digest, err := imageregistry.New(imageregistry.Options{Insecure: []string{fc.rig.image}}).Digest(ctx, tag)
	if err != nil {
		return err
	}
	image := servicedef.ByDigest(tag, digest)
	if err := node.engine.Pull(ctx, runtime.PullSpec{Image: image, Insecure: true}); err != nil {
		return err
	}
	port := byHandPorts + int(fc.rig.cases.Load())
	name := servicedef.ContainerNameFor(fc.service, "app")
	_, err = node.engine.Run(ctx, runtime.ContainerSpec{
		Name: name, Image: image, Env: map[string]string{"PORT": strconv.Itoa(port)}, Restart: "unless-stopped",
		Ports: []servicedef.Port{{IP: node.address, Host: port, Container: port, Protocol: "tcp"}},
	})
	if err != nil {
		return err
	}
	fc.byHand, err = node.engine.Inspect(ctx, name)
	return err
}

// byHandState returns the containers to judge, where one was started by hand: an
// adopted one is the release's, with the labels that its row gives it; any other is
// left out, and must not have been touched.
func (fc *faultCase) byHandState(r rows, containers []found) ([]found, error) {
	i := slices.IndexFunc(containers, func(c found) bool { return c.ID == fc.byHand.ID })
	replaced := fc.scenario.then != nil && r.Release > fc.scenario.released()
	switch {
	case !fc.scenario.byHand, replaced:
		return containers, nil
	case i < 0:
		return containers, fmt.Errorf("container %s, which was started by hand, is gone", fc.byHand.Name)
	}
	c := &containers[i]
	if fc.target != theNode && !c.Started.Equal(fc.byHand.Started) {
		return containers, fmt.Errorf("container %s, which was started by hand at %s, was started again at %s",
			c.Name, fc.byHand.Started.Format(time.RFC3339Nano), c.Started.Format(time.RFC3339Nano))
	}
	for _, a := range r.Adopted {
		if a.Container == c.ID {
			c.Labels = map[string]string{runtime.LabelService: fc.service, runtime.LabelDeployment: strconv.Itoa(a.Deployment)}
			return containers, nil
		}
	}
	if c.Name != fc.byHand.Name {
		return containers, errors.New("a container that was not adopted was renamed to " + c.Name)
	}
	return slices.Delete(containers, i, i+1), nil
}
