package parts

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// everyPool contains the 32768 subnets from which podman chooses those of networks.
const everyPool = `{ base = "10.128.0.0/9", size = 24 }`

// pools is how many ranges of 256 subnets engines divide among themselves: 10.128.0.0/16 to
// 10.207.0.0/16.
const pools = 80

// subnetPools returns the subnets for the networks that containers ask for, as elements of
// podman's default_subnet_pools: a range that no other engine of the machine has, and all of
// them when that is used up. Podman avoids the subnets of the machine's interfaces, and a
// network has an interface only while a container is on it: engines that chose from the same
// subnets could give the same one to two networks.
func subnetPools(dir string) []string {
	claimed, err := claimPool(claimsDir(), dir)
	if err != nil { // for example, all are claimed
		sum := sha256.Sum256([]byte("networks of " + dir))
		claimed = int(sum[0]) % pools
	}
	own := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 128 + byte(claimed), 0, 0}), 16)
	return []string{fmt.Sprintf("{ base = %q, size = 24 }", own), everyPool}
}

// claimsDir is where the engines of this user note their ranges until the next boot.
func claimsDir() string {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if os.Geteuid() == 0 || base == "" {
		base = "/run"
	}
	return filepath.Join(base, "mcp-subnets")
}

// claimPool returns the range of the engine in dir: the one that it has, or else one that no
// engine with an existing directory has. The claims are files, named by the range, with the
// directory of the engine.
func claimPool(claims, dir string) (int, error) {
	if err := os.MkdirAll(claims, 0o700); err != nil {
		return 0, fmt.Errorf("claim subnets: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(claims, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, fmt.Errorf("claim subnets: %w", err)
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return 0, fmt.Errorf("claim subnets: %w", err)
	}
	free := -1
	for n := range pools {
		owner, err := os.ReadFile(filepath.Join(claims, strconv.Itoa(n)))
		if err == nil && string(owner) == dir {
			return n, nil
		}
		if free < 0 && (err != nil || !exists(string(owner))) {
			free = n
		}
	}
	if free < 0 {
		return 0, fmt.Errorf("claim subnets: all %d ranges are claimed", pools)
	}
	if err := os.WriteFile(filepath.Join(claims, strconv.Itoa(free)), []byte(dir), 0o600); err != nil {
		return 0, fmt.Errorf("claim subnets: %w", err)
	}
	return free, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
