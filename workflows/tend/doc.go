// Package tend holds the workflows that tend the fleet, whatever its services do: nodes and
// edges that announce themselves, are admitted, drained and removed, what the monitor
// observes of them, the alerts that follow, and the history that is thinned. None of them
// changes the release of a service.
package tend
