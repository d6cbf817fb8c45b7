package plan

import "time"

// What is kept of the looks at nodes, and for how long.
const (
	// KeepWhole is how long every look and every event is kept.
	KeepWhole = 48 * time.Hour
	// KeepHours is how long, from the same moment on, an hour's are kept in
	// short: then nothing is.
	KeepHours = 30 * 24 * time.Hour
)

// Retention says of which history how much is kept.
type Retention struct {
	// Whole is the beginning of the first hour that is kept whole.
	Whole time.Time `json:"whole"`
	// Any is the beginning of the first hour of which anything is kept.
	Any time.Time `json:"any"`
}

// RetentionAt is what is kept at a moment.
func RetentionAt(now time.Time) Retention {
	return Retention{
		Whole: now.Add(-KeepWhole).Truncate(time.Hour),
		Any:   now.Add(-KeepHours).Truncate(time.Hour),
	}
}

// NodeHistory is how a node has been.
type NodeHistory struct {
	// From is when it begins.
	From time.Time `json:"from"`
	// Looks is how many there were that had an answer; if none, all else is
	// zero.
	Looks int `json:"looks"`
	// CPU, Memory and Disk are percentages; Disk is of the file system that
	// podman's storage is on.
	CPU    Range `json:"cpu_percent"`
	Memory Range `json:"memory_percent"`
	Disk   Range `json:"disk_percent"`
	// Load is the load average of a minute.
	Load Range `json:"load"`
	// Running is how many containers ran.
	Running Range `json:"running"`
}

// Range is how a figure has been: at the least, on average, and at the most.
type Range struct {
	Low  float64 `json:"low"`
	Mean float64 `json:"mean"`
	High float64 `json:"high"`
}

// Percent is how much of it is in use; 0 where there is nothing.
func (u Usage) Percent() float64 {
	if u.Total == 0 {
		return 0
	}
	return float64(u.Used) / float64(u.Total) * 100
}
