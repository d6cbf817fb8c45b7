package identity

import (
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// OutOfTime is the error of a genuine certificate that is not valid at the time of the
// machine that has checked it.
type OutOfTime struct {
	// Of is whose certificate it is: node/rift, or the gateway.
	Of string
	// From and Until are the limits of the certificate, Now the time that was compared.
	From, Until, Now time.Time
}

// Error names the three times.
func (e *OutOfTime) Error() string {
	if e.Now.Before(e.From) {
		return fmt.Sprintf("the certificate of %s begins at %s, %s after the time of this machine, %s",
			e.Of, stamp(e.From), rounded(e.From.Sub(e.Now)), stamp(e.Now))
	}
	return fmt.Sprintf("the certificate of %s ended at %s, %s before the time of this machine, %s",
		e.Of, stamp(e.Until), rounded(e.Now.Sub(e.Until)), stamp(e.Now))
}

// Leeway is how far the clocks of two machines may differ: certificates become valid
// that long before they are issued.
const Leeway = 10 * time.Minute

// CheckClock compares this machine's clock with the gateway's. A difference of more than
// half of Leeway is an error that says how large it is, and which way.
func CheckClock(ours, theirs time.Time) error {
	if difference := ours.Sub(theirs).Abs(); difference <= Leeway/2 {
		return nil
	}
	return fault.New(fault.Invalid, "%s: here it is %s, there %s", Difference(ours, theirs), stamp(ours), stamp(theirs)).
		WithHint("set the clock of the machine that is wrong: timedatectl set-ntp true")
}

// Difference says how this machine's clock differs from the gateway's.
func Difference(ours, theirs time.Time) string {
	word := "ahead of"
	if ours.Before(theirs) {
		word = "behind"
	}
	return fmt.Sprintf("this machine's clock is %s %s the gateway's", rounded(ours.Sub(theirs).Abs()), word)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// rounded is a duration for people: "58 min", "3 h 5 min".
func rounded(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
