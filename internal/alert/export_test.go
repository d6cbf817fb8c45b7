package alert

import "time"

// WithTimeout sets how long the webhook may take to answer.
func (w Webhook) WithTimeout(d time.Duration) Webhook {
	w.timeout = d
	return w
}
