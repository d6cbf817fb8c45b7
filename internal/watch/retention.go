package watch

import "time"

// How long the history of nodes is kept.
const (
	// KeepWhole is how long every observation and every event is kept.
	KeepWhole = 48 * time.Hour
	// KeepHours is how long the summary of an hour is kept, from that hour on.
	KeepHours = 30 * 24 * time.Hour
)

// Retention is how much of the history is kept.
type Retention struct {
	// Whole is the beginning of the first hour that is kept whole.
	Whole time.Time `json:"whole"`
	// Any is the beginning of the first hour that is kept at all.
	Any time.Time `json:"any"`
}

// RetentionAt returns what is kept at a moment.
func RetentionAt(now time.Time) Retention {
	return Retention{
		Whole: now.Add(-KeepWhole).Truncate(time.Hour),
		Any:   now.Add(-KeepHours).Truncate(time.Hour),
	}
}
