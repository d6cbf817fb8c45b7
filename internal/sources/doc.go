// Package sources reads the state of a build's sources with the git program.
//
// It runs git, and not a library, because what counts as a change is git's own decision:
// attributes, line endings, filters such as LFS, sparse checkouts, worktrees and the
// index's own formats. A repository may be another user's work, so git is run such that
// nothing of the repository's configuration is executed.
package sources
