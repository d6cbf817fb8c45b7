package podman

import "context"

// Secrets returns the names of podman's secrets.
func (e *Engine) Secrets(ctx context.Context) ([]string, error) {
	var found []struct{ Spec struct{ Name string } }
	if err := e.ask(ctx, get("/secrets/json"), &found); err != nil {
		return nil, e.translate(ctx, err, "list secrets")
	}
	names := make([]string, 0, len(found))
	for _, s := range found {
		names = append(names, s.Spec.Name)
	}
	return names, nil
}
