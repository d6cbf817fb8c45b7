// Package fleet holds the nouns that travel between the command line, workflows,
// activities and the registry: a release and its members, containers, routes,
// nodes, observations, drift and events.
//
// The types are plain data with JSON tags. Their methods answer questions about
// the data they hold; decisions are in packages plan and watch.
package fleet
