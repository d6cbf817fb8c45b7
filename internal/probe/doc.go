// Package probe checks whether an address serves HTTP or accepts TCP
// connections, for the health checks of containers on a node.
//
// A probe never reuses a connection, follows a redirect or uses a proxy, so its
// result is that of the container alone.
//
// Package workers imports it and passes its Prober to the activities.
package probe
