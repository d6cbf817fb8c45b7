// Package law decides which calls of Temporal's service an identity may make, and makes
// them. What is not in its table is refused.
package law
