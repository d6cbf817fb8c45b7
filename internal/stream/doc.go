// Package stream carries bytes between an operator and the containers of a node: output
// that is followed, commands with their input and their terminals, files, connections.
//
// Nodes and operators connect to the door and keep sessions of many streams each. An
// operator's stream begins with a [Header], which the door's [Hub] allows or refuses,
// and connects with the node's session; from then on frames pass both ways. Each side
// reads at its own pace: what one does not read the other cannot send, and no part in
// between keeps more than a window of it. A stream ends with an exit code or with an
// error; one that ends otherwise has been broken, and is an error too.
package stream
