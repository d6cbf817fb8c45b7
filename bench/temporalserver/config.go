package temporalserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// rolePorts holds the ports of one service of the server on 127.0.0.1.
type rolePorts struct{ RPC, Membership int }

var roles = []string{"frontend", "history", "matching", "worker"}

// keptPorts returns the ports of the last start in the directory, or free ones.
// They must not change, because the cluster's metadata in Postgres contains them.
func keptPorts(dir string) (map[string]rolePorts, error) {
	file := filepath.Join(dir, "ports.json")
	ports := map[string]rolePorts{}
	text, err := os.ReadFile(file)
	if err == nil {
		if err := json.Unmarshal(text, &ports); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		return ports, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the server's ports: %w", err)
	}
	for _, role := range roles {
		rpc, rpcErr := lowPort()
		membership, err := lowPort()
		if err := errors.Join(rpcErr, err); err != nil {
			return nil, err
		}
		ports[role] = rolePorts{rpc, membership}
	}
	return ports, writeJSON(file, ports)
}

// lowPort returns a free port that fits into a smallint, its type in the server's
// Postgres schema. The kernel's ephemeral ports do not.
func lowPort() (int, error) {
	const low, high, tries = 10000, 32767, 100
	for range tries {
		port := low + rand.IntN(high-low)
		listener, err := net.Listen("tcp4", loopback(port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port between %d and %d: none in %d tries", low, high, tries)
}

// table is a YAML mapping, written as JSON, which is valid YAML.
type table map[string]any

// writeConfig writes the server's static configuration, which names the file of
// the dynamic one unless that is "".
func writeConfig(dir string, shards int, dynamic string, s store, ports map[string]rolePorts) error {
	datastore := func(db string, connections int) table {
		return table{"sql": table{
			"pluginName": plugin, "databaseName": db, "connectAddr": s.host + ":" + s.port, "connectProtocol": "tcp",
			"user": s.user, "password": s.password,
			"maxConns": connections, "maxIdleConns": connections, "maxConnLifetime": "1h",
		}}
	}
	services := table{}
	for role, p := range ports {
		services[role] = table{"rpc": table{"grpcPort": p.RPC, "membershipPort": p.Membership, "bindOnIP": "127.0.0.1"}}
	}
	frontend := loopback(ports["frontend"].RPC)
	config := table{
		"log": table{"stdout": true, "level": "warn"},
		"persistence": table{
			"defaultStore": "main", "visibilityStore": "visibility", "numHistoryShards": shards,
			"datastores": table{"main": datastore(mainDB, 20), "visibility": datastore(visibilityDB, 10)},
		},
		"global":   table{"membership": table{"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
		"services": services,
		"clusterMetadata": table{
			"failoverVersionIncrement": 10, "masterClusterName": "active", "currentClusterName": "active",
			"clusterInformation": table{"active": table{
				"enabled": true, "initialFailoverVersion": 1, "rpcName": "frontend", "rpcAddress": frontend,
			}},
		},
		"dcRedirectionPolicy": table{"policy": "noop"},
		"publicClient":        table{"hostPort": frontend},
	}
	if dynamic != "" {
		path, err := filepath.Abs(dynamic)
		if err != nil {
			return fmt.Errorf("find the dynamic configuration: %w", err)
		}
		config["dynamicConfigClient"] = table{"filepath": path, "pollInterval": "1m"}
	}
	return writeJSON(filepath.Join(dir, "config", "base.yaml"), config)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func writeJSON(file string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
