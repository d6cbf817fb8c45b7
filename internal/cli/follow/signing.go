package follow

import (
	"context"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workers"
)

// SignImage signs an image, which may be given by its tag, with the key of [build] in the
// configuration. It returns the image's reference by digest, and how many signatures it
// has added.
func SignImage(ctx context.Context, cfg *config.Config, image string) (byDigest string, added int, err error) {
	if cfg.Build.SigningKeyFile == "" {
		return "", 0, fault.New(fault.Invalid, "there is no key to sign with; this configuration is %s", cfg.Describe()).
			WithHint("set [build] signing_key_file in mcp.toml; mcp build sign --new-key FILE makes one")
	}
	passphrase, err := cfg.SigningPassphrase()
	if err != nil {
		return "", 0, fault.Wrap(fault.Invalid, err, "read the key that signs images")
	}
	key := workers.Signing{KeyFile: cfg.Build.SigningKeyFile, Passphrase: passphrase}
	return workers.SignImage(ctx, image, key, cfg.ImageRegistry.Insecure, cfg.ImageRegistry.AuthFile)
}

// NewSigningKey writes a new key, encrypted by the passphrase, to a file that does not
// exist yet, and its public half beside it, with the ending .pub.
func NewSigningKey(file string, passphrase []byte) (public string, err error) {
	return workers.NewSigningKey(file, passphrase)
}

// PodmanFile is a file of podman's that makes it check signatures.
type PodmanFile = workers.PodmanFile

// PodmanFiles returns the files that make this host's podman check signatures by itself.
// Dir is the folder that podman reads instead of the usual one; "" for that.
func PodmanFiles(ctx context.Context, cfg *config.Config, dir string) ([]PodmanFile, error) {
	return workers.PodmanFiles(ctx, cfg.Node.Socket, cfg.ImageRegistry.RequireSignature, dir)
}
