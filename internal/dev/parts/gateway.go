package parts

import "fmt"

// GatewayPorts are the ports of 127.0.0.1 on which a gateway listens.
type GatewayPorts struct {
	// Door is that of its clients.
	Door int
	// Metrics is that of metrics and health.
	Metrics int
}

// ChooseGatewayPorts makes the directory of a gateway, and chooses the ports that are 0:
// the last ones used in dir, or free ones.
func ChooseGatewayPorts(dir string, wanted GatewayPorts) (GatewayPorts, error) {
	if err := makeDir(dir, 0o700); err != nil {
		return wanted, fmt.Errorf("make the gateway's directory: %w", err)
	}
	var err error
	if wanted.Door, err = stickyPort(dir, "gateway", wanted.Door); err != nil {
		return wanted, err
	}
	wanted.Metrics, err = stickyPort(dir, "metrics", wanted.Metrics)
	return wanted, err
}
