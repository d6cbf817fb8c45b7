// Package linux defines the names and limits of Linux that settings of a container may
// have.
package linux

import (
	"slices"
	"strconv"
	"strings"
)

// signals are Linux's names, without "SIG", by number.
var signals = []string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1", 11: "SEGV",
	12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP",
	21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR",
	31: "SYS",
}

// The real-time signals that programs have.
const (
	minRealTime = 34
	maxRealTime = 64
)

// Signal returns the number of a signal of Linux, given its name, with or without "SIG",
// or its number; 0 if there is none.
func Signal(text string) int {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if n, err := strconv.Atoi(name); err == nil {
		if n >= 1 && n < len(signals) || n >= minRealTime && n <= maxRealTime {
			return n
		}
		return 0
	}
	if n := slices.Index(signals, name); n > 0 && name != "" {
		return n
	}
	for base, from := range map[string]int{"RTMIN": minRealTime, "RTMAX": maxRealTime} {
		offset, is := strings.CutPrefix(name, base)
		if !is {
			continue
		}
		n, err := strconv.Atoi(offset)
		if offset == "" {
			n, err = 0, nil
		}
		if err == nil && from+n >= minRealTime && from+n <= maxRealTime {
			return from + n
		}
	}
	return 0
}

// KnownSignal reports whether a text names a signal of Linux.
func KnownSignal(text string) bool { return Signal(text) != 0 }

// Ulimits are Linux's limits of processes, from setrlimit(2).
var Ulimits = []string{
	"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
	"rttime", "sigpending", "stack", "as",
}

// MaxPids is PID_MAX_LIMIT of Linux's linux/threads.h.
const MaxPids = 4 << 20

// Capabilities are the names of Linux's, from linux/capability.h, without "CAP_".
var Capabilities = []string{
	"AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE",
	"DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN",
	"MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID",
	"SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT",
	"SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
}

// AllCapabilities stands for every capability.
const AllCapabilities = "ALL"

// Capability returns the name of a capability as Linux has it, "CAP_NET_RAW" for
// "net_raw", or "ALL".
func Capability(name string) string {
	name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	if name == AllCapabilities {
		return name
	}
	return "CAP_" + name
}

// KnownCapability reports whether a name is that of a capability of Linux, or ALL.
func KnownCapability(name string) bool {
	name = Capability(name)
	return name == AllCapabilities || slices.Contains(Capabilities, strings.TrimPrefix(name, "CAP_"))
}

// IPCSysctls are settings of the kernel that belong to a namespace of IPC.
var IPCSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
	"kernel.shm_rmid_forced",
}

// MaxHostname is Linux's limit of the bytes of a hostname, __NEW_UTS_LEN.
const MaxHostname = 64

// MaxVariable is Linux's limit of bytes of an argument or a variable of a program,
// MAX_ARG_STRLEN in its linux/binfmts.h, less the NUL at the end.
const MaxVariable = 128<<10 - 1
