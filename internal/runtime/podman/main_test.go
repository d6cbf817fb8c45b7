package podman_test

import (
	"flag"
	"os"
	"testing"
)

// Tests that run side by side wait for a bound; they do not work.
const sideBySide = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
