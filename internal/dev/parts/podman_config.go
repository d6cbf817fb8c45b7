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

// podmanEnv writes the configuration that the service needs into dir and
// returns the environment that selects it. If none is needed, podman reads the
// machine's own.
//
// CONTAINERS_CONF replaces the machine's containers.conf completely. A private
// engine needs that; with the machine's own storage it is set only if podman
// could not start a container otherwise.
func podmanEnv(dir string, o PodmanOptions) ([]string, error) {
	restricted := machineIsRestricted()
	if !o.Private && !restricted {
		return nil, nil
	}
	var conf strings.Builder
	conf.WriteString(engineConf(restricted, o.Private && o.Unfiltered))
	if o.Init != "" {
		fmt.Fprintf(&conf, "init_path = %q\n", o.Init)
	}
	if o.Private {
		network, err := privateNetwork(dir)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&conf, "[network]\nnetwork_backend = \"netavark\"\ndefault_network = %q\ndefault_subnet_pools = [%s]\n",
			network, strings.Join(subnetPools(dir), ", "))
	}
	path := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write podman's configuration: %w", err)
	}
	return []string{"CONTAINERS_CONF=" + path, "PODMAN_IGNORE_CGROUPSV1_WARNING=1"}, nil
}

// machineIsRestricted reports whether podman's defaults fail on this machine:
// crun does not start containers without CAP_SYS_RESOURCE or on hybrid or v1
// cgroups, and without systemd its cgroup manager and its journal are missing.
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

// engineConf returns the configuration of the engine. On a restricted machine
// limits above those of this process could not be set, and lock files replace a
// segment of shared memory that all engines would share.
func engineConf(restricted, unfiltered bool) string {
	const rlimitNproc = 6 // RLIMIT_NPROC, which package syscall lacks
	var conf strings.Builder
	conf.WriteString("[containers]\n")
	if unfiltered {
		conf.WriteString("seccomp_profile = \"unconfined\"\n")
	}
	if restricted {
		fmt.Fprintf(&conf, "default_ulimits = [\"nofile=%[1]d:%[1]d\", \"nproc=%[2]d:%[2]d\"]\n",
			limit(syscall.RLIMIT_NOFILE, 20000), limit(rlimitNproc, 30000))
	}
	// Two processes stay for this many seconds after each command run in a
	// container, to report its exit code. With the default of 300 a health check
	// every few seconds would accumulate many.
	conf.WriteString("[engine]\nexit_command_delay = 10\n")
	if restricted {
		if _, err := exec.LookPath("runc"); err == nil {
			conf.WriteString("runtime = \"runc\"\n")
		}
		conf.WriteString("lock_type = \"file\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n")
	}
	return conf.String()
}

// limit returns the hard limit of this process for a resource, or most if that
// is less.
func limit(resource int, most uint64) uint64 {
	var own syscall.Rlimit
	if err := syscall.Getrlimit(resource, &own); err != nil {
		return most
	}
	return min(own.Max, most)
}

// privateNetwork creates the default network of the engine in dir, unless it
// exists, and returns its name. Engines that shared the name "podman" would
// share its bridge and its firewall chains, and each would assign the same
// addresses.
func privateNetwork(dir string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("mcp-%x", sum[:4]) // also names the bridge: at most 15 bytes
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

// freeSubnet chooses one of the 16384 networks 10.64.0.0/24 to 10.127.255.0/24
// by the sum, and skips those of this machine's interfaces.
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
	return netip.Prefix{}, fmt.Errorf("find a free network for podman in 10.64.0.0/10: all candidates are in use")
}
