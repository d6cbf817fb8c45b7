package servicedef

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Hash returns a SHA-256, in hex, of the definition without its File, and with the
// digests of its files instead of their contents, and without versions of secrets.
func (s Service) Hash() string {
	s.File, s.Sources, s.Environment = "", nil, ""
	s = s.WithoutContents()
	if s.HasSecrets() {
		s = s.WithoutSecrets()
	}
	text, err := json.Marshal(s)
	if err != nil {
		// Only a NaN or an infinity can cause this, and Parse refuses both.
		panic(fmt.Sprintf("encode service %s: %v", s.Name, err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// WithoutContents returns the definition with the digests of its files instead of their
// contents, for lists of many. It has the same Hash, and cannot be deployed.
func (s Service) WithoutContents() Service {
	s.Components = slices.Clone(s.Components)
	for i := range s.Components {
		c := &s.Components[i]
		c.Files = slices.Clone(c.Files)
		for n := range c.Files {
			if f := &c.Files[n]; f.Source == "" {
				f.Digest = f.digest()
				f.Content, f.Base64 = "", ""
			}
		}
	}
	return s
}
