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

// byHandPorts is past the ports that routes are given, and below those of this
// machine's own connections.
const byHandPorts = 3000

// runByHand starts the first version as somebody would who does not know mcp,
// under the name that mcp gives it.
func (p *play) runByHand() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	home, tag := p.rig.node(p.home), p.rig.shared("v1")
	digest, err := imageregistry.New(imageregistry.Options{Insecure: []string{p.rig.image}}).Digest(ctx, tag)
	if err != nil {
		return err
	}
	image := servicedef.ByDigest(tag, digest)
	if err := home.engine.Pull(ctx, runtime.PullSpec{Image: image, Insecure: true}); err != nil {
		return err
	}
	port := byHandPorts + int(p.rig.played.Load())
	name := servicedef.ContainerNameFor(p.service, "app")
	_, err = home.engine.Run(ctx, runtime.ContainerSpec{
		Name: name, Image: image, Env: map[string]string{"PORT": strconv.Itoa(port)}, Restart: "unless-stopped",
		Ports: []servicedef.Port{{IP: home.address, Host: port, Container: port, Protocol: "tcp"}},
	})
	if err != nil {
		return err
	}
	p.byHand, err = home.engine.Inspect(ctx, name)
	return err
}

// tellApart takes the container that was started by hand for what it has become:
// one that was adopted bears the labels that its row says, and is the release's;
// one that was not is nobody's to judge, as long as it is left alone.
func (p *play) tellApart(r rows, containers []found) ([]found, error) {
	i := slices.IndexFunc(containers, func(c found) bool { return c.ID == p.byHand.ID })
	replaced := p.story.then != nil && r.Release > p.story.released()
	switch {
	case !p.story.byHand, replaced:
		return containers, nil
	case i < 0:
		return containers, fmt.Errorf("container %s, which was started by hand, is gone", p.byHand.Name)
	}
	c := &containers[i]
	if p.who != theNode && !c.Started.Equal(p.byHand.Started) {
		return containers, fmt.Errorf("container %s, which was started by hand at %s, was started again at %s",
			c.Name, p.byHand.Started.Format(time.RFC3339Nano), c.Started.Format(time.RFC3339Nano))
	}
	for _, a := range r.Adopted {
		if a.Container == c.ID {
			c.Labels = map[string]string{runtime.LabelService: p.service, runtime.LabelDeployment: strconv.Itoa(a.Deployment)}
			return containers, nil
		}
	}
	if c.Name != p.byHand.Name {
		return containers, errors.New("a container that nobody has adopted was renamed to " + c.Name)
	}
	return slices.Delete(containers, i, i+1), nil
}
