// Package apps deploys the applications of examples/apps as an operator does, and uses
// each by its own protocol: first deploy, update, failed update, rollback, a reboot of
// the node, undeploy. They share one platform with an edge, and one node that is a host
// of its own.
package apps
