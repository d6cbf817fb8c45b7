package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/secrets"
)

// pageStore has secrets, each sealed to many recipients.
type pageStore struct {
	activities.Registry
	secrets []secrets.Secret
}

func (s pageStore) SecretPage(_ context.Context, _ string, after secrets.Ref, limit int) ([]secrets.Secret, error) {
	var page []secrets.Secret
	for _, secret := range s.secrets {
		if secret.Name > after.Name && len(page) < limit {
			page = append(page, secret)
		}
	}
	return page, nil
}

func (s pageStore) SecretVersions(ctx context.Context, service string, after secrets.Ref, limit int) ([]secrets.Secret, error) {
	return s.SecretPage(ctx, service, after, limit)
}

func TestAListOfSecretsComesInPagesThatAreBounded(t *testing.T) {
	for name, recipients := range map[string]int{"many secrets": 1, "many recipients": 150} {
		t.Run(name, func(t *testing.T) {
			store := pageStore{}
			for i := range 1201 {
				v := secrets.Version{Version: 1, Recipients: make([]secrets.Recipient, recipients)}
				store.secrets = append(store.secrets, secrets.Secret{Service: "shop", Name: fmt.Sprintf("s%04d", i), Newest: 1, Versions: []secrets.Version{v}})
			}
			control := activities.Control{Registry: store}
			var listed []secrets.Secret
			var after secrets.Ref
			for {
				page, err := control.ListSecrets(t.Context(), activities.ListSecretsInput{Service: "shop", Page: recipients > 1, After: after})
				require.NoError(t, err)
				text, err := json.Marshal(page)
				require.NoError(t, err)
				require.Less(t, len(text), 600<<10)
				require.LessOrEqual(t, len(page.Secrets), 500)
				listed = append(listed, page.Secrets...)
				if !page.More {
					break
				}
				after = secrets.Ref{Service: "shop", Name: listed[len(listed)-1].Name}
			}
			require.Equal(t, store.secrets, listed)
		})
	}
}

func TestASecretThatIsLargerThanAPageIsOne(t *testing.T) {
	huge := secrets.Secret{Service: "shop", Name: "a", Versions: []secrets.Version{{Who: strings.Repeat("x", 1<<20)}}}
	control := activities.Control{Registry: pageStore{secrets: []secrets.Secret{huge, {Service: "shop", Name: "b"}}}}
	page, err := control.ListSecrets(t.Context(), activities.ListSecretsInput{})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, []string{page.Secrets[0].Name})
	require.True(t, page.More)
}
