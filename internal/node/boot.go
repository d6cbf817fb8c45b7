package node

import (
	"fmt"
	"os"
	"strings"
)

// bootID is the file with Linux's id of the host's boot: a UUID, new at each boot.
const bootID = "/proc/sys/kernel/random/boot_id"

// BootID returns the id of this boot of the host, which no other boot has.
func BootID() (string, error) {
	text, err := os.ReadFile(bootID)
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
