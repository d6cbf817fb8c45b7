package runtime

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// FakeProgram describes what a command does. The zero value runs until it is
// stopped.
type FakeProgram struct {
	// Missing reports that the command does not exist.
	Missing bool
	// Exits makes it end at once, with ExitCode.
	Exits    bool
	ExitCode int
	// Hangs makes a build or an exec of it last until its context ends.
	Hangs bool
	// Stubborn makes it ignore a stop, so that it has to be killed.
	Stubborn bool
	// Output is what it prints, on standard error if ToStderr is set.
	Output   []string
	ToStderr bool
	// Ending is how long it takes to end when it is stopped, and Last what it prints then.
	Ending time.Duration
	Last   []string
}

// TestProgram simulates the program of the contract test, at the path "/app".
// No other absolute path exists; a command without a path runs until it is
// stopped.
func TestProgram(cmd []string) FakeProgram {
	if len(cmd) < 2 || cmd[0] != "/app" {
		return FakeProgram{Missing: len(cmd) > 0 && strings.HasPrefix(cmd[0], "/") && cmd[0] != "/app"}
	}
	switch verb, args := cmd[1], cmd[2:]; verb {
	case "exit":
		program := FakeProgram{Exits: true, Output: []string{"exiting with " + args[0]}, ToStderr: true}
		_, _ = fmt.Sscan(args[0], &program.ExitCode)
		return program
	case "echo":
		return FakeProgram{Exits: true, Output: args}
	case "print":
		return FakeProgram{Output: args}
	case "end":
		ending, _ := time.ParseDuration(args[0])
		return FakeProgram{Output: []string{"ready"}, Ending: ending, Last: args[1:]}
	case "fill":
		return FakeProgram{Exits: true, ExitCode: killed}
	case "sleep", "shout":
		return FakeProgram{Hangs: true}
	case "stubborn":
		return FakeProgram{Stubborn: true, Output: []string{"stubborn"}}
	}
	return FakeProgram{}
}

// await waits for the end of a program.
func (p FakeProgram) await(ctx context.Context) error {
	if !p.Hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// stream returns the stream on which the program prints.
func (p FakeProgram) stream() string {
	if p.ToStderr {
		return "stderr"
	}
	return "stdout"
}
