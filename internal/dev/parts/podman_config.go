package parts

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// podmanEnv writes what configuration the service needs and returns the
// environment that points to it. A machine that needs none gets none: podman
// then reads the machine's own.
//
// CONTAINERS_CONF replaces the machine's containers.conf as a whole, it does
// not add to it. That is wanted for a private engine; for the machine's own
// storage it is done only where podman could not start a container otherwise.
func podmanEnv(o PodmanOptions) ([]string, error) {
	restricted := machineIsRestricted()
	if !o.Private && !restricted {
		return nil, nil
	}
	var conf strings.Builder
	conf.WriteString(engineConf(restricted))
	if o.Private {
		network, err := privateNetwork(o.Dir)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&conf, "[network]\nnetwork_backend = \"netavark\"\ndefault_network = %q\n", network)
	}
	path := filepath.Join(o.Dir, "containers.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write podman's configuration: %w", err)
	}
	return []string{"CONTAINERS_CONF=" + path, "PODMAN_IGNORE_CGROUPSV1_WARNING=1"}, nil
}

// machineIsRestricted reports whether podman's defaults cannot work here:
// crun refuses to start containers without CAP_SYS_RESOURCE and on hybrid or
// v1 cgroups, and without systemd there is neither its cgroup manager nor its
// journal.
func machineIsRestricted() bool {
	_, unified := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	_, systemd := os.Stat("/run/systemd/system")
	return unified != nil || systemd != nil || !hasSysResource()
}

// hasSysResource reports whether CAP_SYS_RESOURCE is in this process's
// effective set.
func hasSysResource() bool {
	const capSysResource = 24
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && set&(1<<capSysResource) != 0
		}
	}
	return false
}

// engineConf is how the engine runs containers. On a restricted machine limits
// above this process's own could not be set, and lock files take the place of
// a segment of shared memory that all engines would share.
func engineConf(restricted bool) string {
	const rlimitNproc = 6 // RLIMIT_NPROC, which package syscall lacks
	var conf strings.Builder
	if restricted {
		fmt.Fprintf(&conf, "[containers]\ndefault_ulimits = [\"nofile=%[1]d:%[1]d\", \"nproc=%[2]d:%[2]d\"]\n",
			limit(syscall.RLIMIT_NOFILE, 20000), limit(rlimitNproc, 30000))
	}
	// Two processes stay for this many seconds after each command that is run
	// in a container, so that its exit code can be asked for; 300 by default,
	// which a health check every few seconds makes many.
	conf.WriteString("[engine]\nexit_command_delay = 10\n")
	if restricted {
		if _, err := exec.LookPath("runc"); err == nil {
			conf.WriteString("runtime = \"runc\"\n")
		}
		conf.WriteString("lock_type = \"file\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n")
	}
	return conf.String()
}

// limit is this process's hard limit of a resource, but at most the wish.
func limit(resource int, wish uint64) uint64 {
	var own syscall.Rlimit
	if err := syscall.Getrlimit(resource, &own); err != nil {
		return wish
	}
	return min(own.Max, wish)
}

// privateNetwork makes sure that the engine in dir has a default network of
// its own and returns its name. Engines that shared the name "podman" would
// share its bridge, its firewall chains and its addresses, each handing out
// the same ones.
func privateNetwork(dir string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("mcp-%x", sum[:4]) // also the bridge's name: 15 bytes at most
	path := filepath.Join(dir, "networks", name+".json")
	if _, err := os.Stat(path); err == nil {
		return name, nil
	}
	subnet, err := freeSubnet(sum)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(map[string]any{
		"name": name, "id": fmt.Sprintf("%x", sum), "driver": "bridge", "network_interface": name,
		"created":      "2026-01-01T00:00:00Z",
		"subnets":      []map[string]string{{"subnet": subnet.String(), "gateway": subnet.Addr().Next().String()}},
		"ipv6_enabled": false, "internal": false, "dns_enabled": false,
		"ipam_options": map[string]string{"driver": "host-local"},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode podman's network: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make podman's network directory: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("write podman's network: %w", err)
	}
	return name, nil
}

// freeSubnet picks one of the 16384 networks 10.64.0.0/24 to 10.127.255.0/24
// by the sum, passing over those that an interface of this machine is in.
func freeSubnet(sum [sha256.Size]byte) (netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for at := 0; at+2 <= len(sum); at += 2 {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64 | sum[at]&63, sum[at+1], 0}), 24)
		taken := false
		for _, address := range addresses {
			other, err := netip.ParsePrefix(address.String())
			taken = taken || err == nil && other.Overlaps(subnet)
		}
		if !taken {
			return subnet, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("find a free network for podman in 10.64.0.0/10: all that were tried are in use")
}
