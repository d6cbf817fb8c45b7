package plan

// Drift is how a component's container differs from what was released; none
// means that it does not. Found is nil where there is no such container.
func Drift(member ReleaseMember, found *Container) []string {
	switch {
	case !member.Active && found != nil && found.Running:
		return []string{"running"}
	case !member.Active:
		return nil
	case found == nil:
		return []string{"missing"}
	}
	var drift []string
	if !found.Running {
		drift = append(drift, "stopped")
	}
	if found.Deployment != member.Deployment || found.Spec != member.Spec {
		drift = append(drift, "replaced")
	}
	return drift
}
