package servicedef

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
