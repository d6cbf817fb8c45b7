package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// SpecHash returns the value of a container's mcp.spec label: a hash of everything
// that cannot change without a new container, including versions of secrets. Health, order,
// dependencies and what edges make of a route are not included.
func SpecHash(c servicedef.Component, digest string) string {
	type route struct {
		Name          string
		ContainerPort int
		Protocol      string `json:",omitempty"`
	}
	routes := make([]route, 0, len(c.Routes))
	for _, r := range c.Routes {
		routes = append(routes, route{r.Name, r.ContainerPort, r.Protocol})
	}
	var logSize int64
	if size := c.LogBytes(); size != servicedef.DefaultLogSize {
		logSize = size
	}
	text, err := json.Marshal(struct {
		Digest          string
		Cmd             []string
		Env             map[string]string
		Volumes, Ports  []string
		User, Network   string
		Restart, Memory string
		CPUs            float64
		StopTimeout     time.Duration
		Routes          []route
		// Omitted if there are none, so that the hashes of earlier containers stay
		// valid.
		Secrets   []servicedef.Secret `json:",omitempty"`
		SecretEnv map[string]string   `json:",omitempty"`
		LogSize   int64               `json:",omitempty"`
		servicedef.Container
		Networks servicedef.Networks       `json:",omitempty"`
		Versions servicedef.SecretVersions `json:",omitempty"`
	}{
		digest, c.Cmd, c.Env, c.Volumes, c.Ports, c.User, c.Network,
		c.Restart, c.Memory, c.CPUs, time.Duration(c.StopTimeout), routes,
		c.Secrets, c.SecretEnv, logSize, c.Container, c.Networks, c.Versions,
	})
	if err != nil {
		panic(fmt.Sprintf("encode component %s: %v", c.Name, err)) // plain data; cannot happen
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
