package watch

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
