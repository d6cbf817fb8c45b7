package crash

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// judgeNames checks what a component has seen that asks another one by its name: no
// failure, and the release. A boot ends the one that asks, too, and the node that it
// comes back on starts both at once.
func (fc *faultCase) judgeNames(ctx context.Context) error {
	if !fc.scenario.byName || fc.target == theNode {
		return nil
	}
	release, err := fc.rig.store.Release(ctx, fc.service)
	if err != nil {
		return err
	}
	client, app := release.Components["client"], release.Components["app"]
	if len(client.Routes) == 0 {
		return fmt.Errorf("the component that asks by name is not released")
	}
	version := app.Image[strings.LastIndex(app.Image, ":")+1:]
	for {
		report, err := ask(net.JoinHostPort(fc.rig.node(client.Node).address, strconv.Itoa(client.Routes[0].HostPort)))
		switch {
		case err != nil:
			return fmt.Errorf("the component that asks by name does not answer: %w", err)
		case strings.Contains(report, "failure"):
			return fmt.Errorf("a component that asks by name saw %s", report)
		case strings.Contains(report, version+":"):
			return nil
		}
		select { // its resolver may have the former address for five seconds
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the name has not led to the release, %s: %s", version, report)
		}
	}
}
