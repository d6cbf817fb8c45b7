// Package workflows holds mcp's workflows: the steps of a deployment, a build, a plan, a
// run of a job and the rest. Workflow code is deterministic: it decides and calls
// activities, which alone touch anything. Package call implements the calls. Package
// reads has the workflows that change nothing, and package tend those that tend nodes
// and edges.
//
// The table of verbs (verbs.go) holds everything in which one verb's deployments differ
// from another's; Deploy (deploy.go) runs them all.
package workflows
