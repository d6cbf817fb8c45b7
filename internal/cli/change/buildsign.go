package change

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
)

// signedImage is what mcp build sign prints of an image with --json.
type signedImage struct {
	Image string `json:"image"`
	// ByDigest is what was signed.
	ByDigest string `json:"by_digest"`
	// Added is how many signatures are new: one for the image, and for a list one more for
	// each image in it. 0 if the key had signed them already.
	Added int `json:"added"`
}

// newSigningKey is what mcp build sign --new-key prints with --json.
type newSigningKey struct {
	Private string `json:"private"`
	Public  string `json:"public"`
}

func newBuildSign(s *session.Session) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "sign IMAGE-NAME...",
		Short: "Sign images that are in an image registry already",
		Long: `Sign signs images with the key that [build] signing_key_file names, as a builder
does after a push: images that mcp has not built, those of before there was a key,
and those that a new key signs too. The signature is stored beside the image, as
cosign does it. An image that is given by its tag is signed as it is now: look at
what you sign. A second signature by the same key is not added.

--new-key makes a key instead, encrypted by the passphrase in COSIGN_PASSWORD,
which may be empty, and its public half, which nodes need.`,
		Example: "  mcp build sign registry.example/postgres:17\n  mcp build sign --new-key cosign.key",
		Args: session.Args(func(_ *cobra.Command, args []string) error {
			switch {
			case file != "" && len(args) > 0:
				return errors.New("--new-key signs no image")
			case file == "" && len(args) == 0:
				return errors.New("which image? Name it as in a definition, such as registry.example/postgres:17")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				return runNewKey(s, file)
			}
			return runBuildSign(cmd.Context(), s, args)
		},
	}
	cmd.Flags().StringVar(&file, "new-key", "", "make a key, and write it to this file")
	return cmd
}

func runBuildSign(ctx context.Context, s *session.Session, images []string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	signed := []signedImage{}
	for _, image := range images {
		byDigest, added, err := follow.SignImage(ctx, cfg, image)
		if err != nil {
			return err
		}
		signed = append(signed, signedImage{image, byDigest, added})
		if !s.JSON {
			word := "signed"
			if added == 0 {
				word = "is signed by this key already"
			}
			_, _ = fmt.Fprintf(s.Stdout, "%s %s\n", byDigest, word)
		}
	}
	if s.JSON {
		s.PrintJSON(signed)
	}
	return nil
}

func runNewKey(s *session.Session, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return exit.Usage(err)
	}
	public, err := follow.NewSigningKey(file, []byte(s.Getenv("COSIGN_PASSWORD")))
	if err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(newSigningKey{file, public})
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "private key, for [build] signing_key_file of a builder: %s\npublic key, for [image_registry.require_signature] of the nodes: %s\n", file, public)
	return nil
}
