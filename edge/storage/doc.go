// Package storage shares certificates, the answers to challenges, and the keys of
// authorities between edges.
//
// All of it rests in a Remote, sealed to the keys of the admitted edges: whoever keeps
// the Remote can read none of it. An edge that is admitted later reads what was stored
// before when one of the others has sealed it again, which Reseal does.
package storage
