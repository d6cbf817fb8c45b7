package node

import (
	"fmt"
	"os"
	"strings"
)

// bootID is where Linux names the boot of the host: a UUID, made anew at each.
const bootID = "/proc/sys/kernel/random/boot_id"

// BootID tells this boot of the host from every other one.
func BootID() (string, error) {
	text, err := os.ReadFile(bootID)
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
