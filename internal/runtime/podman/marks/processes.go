package marks

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// killEach kills the processes of this host that marked reports.
func killEach(marked func(pid int) bool) { signalEach(processes(), marked, syscall.SIGKILL) }

// signalEach sends a signal to those of the processes that marked reports, and reports
// whether one got it.
func signalEach(pids []int, marked func(pid int) bool, number syscall.Signal) (sent bool) {
	for _, pid := range pids {
		// The handle is taken first, so that a later process with this pid gets nothing.
		if process, err := os.FindProcess(pid); err == nil && marked(pid) {
			sent = process.Signal(number) == nil || sent
		}
	}
	return sent
}

// processes returns the numbers of this host's processes.
func processes() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// hasVariable reports whether a process has "NAME=value" in its environment.
func hasVariable(pid int, variable string) bool {
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	return err == nil && slices.Contains(strings.Split(string(environ), "\x00"), variable)
}
