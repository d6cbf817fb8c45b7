package secrets

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// Secret is a secret of a service, as the registry has it.
type Secret struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	// Newest is the number of the version that deployments use from now on.
	Newest int `json:"newest"`
	// Last is the number of the last version, where that was withdrawn; else 0.
	Last int `json:"last,omitempty"`
	// Removed is set where it has no versions any more. Its numbers are not used again.
	Removed bool `json:"removed,omitempty"`
	// Versions are those that are kept, newest first; in a page of secrets the newest alone.
	Versions []Version `json:"versions"`
	// Kept is how many versions are kept, in a page of secrets.
	Kept int `json:"kept,omitempty"`
}

// Version is one version of a secret, without its value.
type Version struct {
	Version    int         `json:"version"`
	Recipients []Recipient `json:"recipients"`
	Signer     Signer      `json:"signer"`
	// Mark is the signer's mark of the value: see SigningKey.Mark.
	Mark []byte    `json:"mark"`
	At   time.Time `json:"at"`
	// Rekeyed is when it was last sealed again, to other recipients; zero for never.
	Rekeyed time.Time `json:"rekeyed,omitzero"`
	Who     string    `json:"who"`
	From    string    `json:"from"`
	// Releases are the numbers of the releases that name it, newest first, where those of
	// one service were asked for.
	Releases []int `json:"releases,omitempty"`
}

// Addition is a version to add to a secret, or one that is sealed again.
type Addition struct {
	Envelope Envelope `json:"envelope"`
	Mark     []byte   `json:"mark"`
	Who      string   `json:"who"`
	From     string   `json:"from"`
	// Rekey is set to replace the envelope of a version that exists, by one of the same
	// value for other recipients.
	Rekey bool `json:"rekey,omitempty"`
}

// Current returns the newest version; ok is false if it is not kept.
func (s Secret) Current() (v Version, ok bool) {
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return v.Version == s.Newest })
	if i < 0 {
		return Version{}, false
	}
	return s.Versions[i], true
}

// Marked reports whether a version has a mark.
func (v Version) Marked(signer Signer, mark []byte) bool {
	return v.Signer == signer && len(mark) > 0 && bytes.Equal(v.Mark, mark)
}

// SameRecipients reports whether two lists have the same recipients, in any order.
func SameRecipients(a, b []Recipient) bool { return slices.Equal(sorted(a), sorted(b)) }

func compareRecipients(a, b Recipient) int {
	return cmp.Or(cmp.Compare(a.kind(), b.kind()), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key.String(), b.Key.String()))
}
