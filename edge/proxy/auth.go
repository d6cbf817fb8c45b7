package proxy

// users are those whom a route admits.
type users struct{ hashes map[string]string }

// newUsers returns the users of a route; nil if everyone is admitted.
func newUsers(hashes map[string]string) *users {
	if len(hashes) == 0 {
		return nil
	}
	return &users{hashes}
}
