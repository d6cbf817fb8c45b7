package reads

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/workflows/call"
)

// BuildLogInput asks a builder for a part of a build log.
type BuildLogInput struct {
	Builder string `json:"builder"`
	onbuilder.BuildLogInput
}

// BuildLogResult is a part of a build log.
type BuildLogResult = onbuilder.BuildLogResult

// MaxBuildLog bounds the part of a build log that one answer holds, in bytes.
const MaxBuildLog = maxAnswer / 4

// ReadBuildLog reads a part of a build log in a directory of this host.
func ReadBuildLog(builder, dir string, in BuildLogInput) (BuildLogResult, error) {
	return onbuilder.ReadBuildLog(builder, dir, in.BuildLogInput)
}

// BuildLog reads a part of a build log.
func BuildLog(ctx workflow.Context, in BuildLogInput) (*BuildLogResult, error) {
	in.Bytes = min(max(in.Bytes, 1), MaxBuildLog)
	step := call.BuilderStep(ctx, in.Builder, "read a build log of "+in.Service+" on builder "+in.Builder)
	var result BuildLogResult
	err := workflow.ExecuteActivity(step, builder.BuildLog, in.BuildLogInput).Get(ctx, &result)
	if err != nil {
		return nil, call.Failure(call.BuilderFault(err, in.Builder))
	}
	return &result, nil
}
