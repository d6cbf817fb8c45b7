package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// writePolicy writes the policy of the node, unless there is one: mcp's own, and bind mounts
// below the workspace, whose owner runs the platform.
func (p *Platform) writePolicy() error {
	file := p.path(policyName)
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := fmt.Sprintf(`# What may run on the node of this platform. mcp dev has written this file once, and reads
# it whenever something is to run. docs/operating.md has all keys.
[mounts]
roots = ["/srv", %s]

[builds]
secret_files = ["/srv", "/run/secrets", %s]
`, quote(p.options.Workspace), quote(p.options.Workspace))
	if err := writeFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the policy of the node: %w", err)
	}
	return nil
}
