package codec

import (
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/fault"
)

// maxPending is how large the failure of an activity that is tried again may be. Of a
// larger failure, Temporal (limit.mutableStateActivityFailureSize.error, 4 KiB) keeps
// only texts that are in the clear: of an encrypted one nothing would be left.
const maxPending = 4<<10 - 256

// fits reports whether Temporal keeps what is encrypted in a request.
func fits(request proto.Message) bool {
	f := pending(request)
	return f == nil || proto.Size(f) <= maxPending
}

// pending returns the failure of an activity that is tried again; nil for any other
// request.
func pending(request proto.Message) *failure.Failure {
	r, ok := request.(*workflowservice.RespondActivityTaskFailedRequest)
	if !ok || r.GetFailure().GetApplicationFailureInfo().GetNonRetryable() {
		return nil
	}
	return r.GetFailure()
}

// shortenings are what is left out of a pending failure, one after the other, until it
// fits: nothing, the lines of output, all details, and most of the message.
var shortenings = []func(proto.Message){
	func(proto.Message) {},
	func(request proto.Message) {
		f := pending(request)
		f.StackTrace, f.Cause = "", nil
		setDetails(f, withoutLog(f.GetApplicationFailureInfo().GetDetails()))
	},
	func(request proto.Message) {
		f := pending(request)
		f.StackTrace, f.Cause = "", nil
		setDetails(f, nil)
	},
	func(request proto.Message) {
		f := pending(request)
		f.StackTrace, f.Cause, f.Source = "", nil, ""
		f.Message = string([]rune(f.Message)[:min(len([]rune(f.Message)), maxPending/8)]) + "…"
		f.FailureInfo = &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{
			Type: clip(f.GetApplicationFailureInfo().GetType()),
		}}
	},
}

// setDetails replaces the details of a failure.
func setDetails(f *failure.Failure, details *common.Payloads) {
	if info := f.GetApplicationFailureInfo(); info != nil {
		info.Details = details
	}
}

// withoutLog returns the details of a failure without the lines of output in its fault.
func withoutLog(details *common.Payloads) *common.Payloads {
	var f fault.Error
	if converter.GetDefaultDataConverter().FromPayloads(details, &f) != nil || f.Kind == "" {
		return nil
	}
	f.Log = nil
	short, err := converter.GetDefaultDataConverter().ToPayloads(f)
	if err != nil {
		return nil
	}
	return short
}
