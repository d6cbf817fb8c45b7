package startup

import "runtime"

// threads is the default number of threads that run Go code. Until Resume there
// is one: while packages are initialized and a short command runs, a second
// thread has little to do and spends its time searching for work. This package
// imports only runtime, so it is initialized before nearly all others; any other
// import would change that.
var threads = runtime.GOMAXPROCS(1)

// Resume sets the number of threads of a long-running process, usually a worker:
// half the default. The other processors are for podman and its containers, and
// threads that are never all busy spend a sixth of a worker's processor time
// searching for work. If chosen is set, the number is the user's choice and stays.
func Resume(chosen bool) {
	if !chosen {
		threads = max(1, threads/2)
	}
	runtime.GOMAXPROCS(threads)
}
