package runtime

import "context"

type progressKey struct{}

// WithProgress returns a context in which an engine calls report at each sign of
// progress: a part of a request that it has read, an answer, or a part of one.
// Report must be safe for concurrent use.
func WithProgress(ctx context.Context, report func()) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// Progress returns the function that an engine calls at each sign of progress.
func Progress(ctx context.Context) (report func()) {
	if report, ok := ctx.Value(progressKey{}).(func()); ok {
		return report
	}
	return func() {}
}
