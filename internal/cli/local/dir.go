package local

import (
	"fmt"
	"os"
)

// wantDir returns an error if the value of a flag is not a directory.
func wantDir(flag, dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: there is no directory %s", flag, dir)
	}
	return nil
}
