// Package workflows holds mcp's workflows: the steps of a deployment, a build, a
// plan, an observation of a node and the rest. Workflow code is deterministic: it
// decides and calls activities, which alone touch anything. Package call has how;
// package reads has the workflows that change nothing.
//
// The table of verbs (verbs.go) holds all in which one verb's deployments differ
// from another's; Deploy (deploy.go) runs them all.
package workflows
