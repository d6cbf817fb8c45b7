package job

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
)

// target names a job.
type target struct{ service, job string }

func (t target) String() string { return t.service + "/" + t.job }

// parse parses "SERVICE/JOB".
func parse(text string) (target, error) {
	service, job, ok := strings.Cut(text, "/")
	if !ok || service == "" || job == "" || strings.Contains(job, "/") {
		return target{}, exit.Usage(fmt.Errorf("%q is no job: name it as SERVICE/JOB, as mcp jobs lists them", text))
	}
	return target{service, job}, nil
}

// usageIfUnknown makes it an error of usage that a service, a job or a run does not exist.
func usageIfUnknown(err error) error {
	if _, ended := exit.CodeOf(err); !ended && fault.Is(err, fault.NotFound) {
		return exit.Usage(err)
	}
	return err
}
