package server

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// bridge writes what certmagic and Caddy log to a slog.Handler, one level lower: what
// matters to an operator is logged by this package, and is in Certificates.
type bridge struct{ slog.Handler }

func levelOf(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled reports whether anything of the level is written.
func (b bridge) Enabled(l zapcore.Level) bool {
	return b.Handler.Enabled(context.Background(), levelOf(l))
}

// With returns a bridge that adds fields.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.WithAttrs(attributes(fields))}
}

// Check adds the bridge to those that write an entry.
func (b bridge) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return to.AddCore(e, b)
	}
	return to
}

// Write writes an entry.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	record := slog.NewRecord(e.Time, levelOf(e.Level), e.Message, 0)
	record.AddAttrs(attributes(fields)...)
	return b.Handle(context.Background(), record)
}

// Sync does nothing: a slog.Handler keeps nothing back.
func (b bridge) Sync() error { return nil }

func attributes(fields []zapcore.Field) []slog.Attr {
	encoder := zapcore.NewMapObjectEncoder()
	attrs := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		f.AddTo(encoder)
		if value, ok := encoder.Fields[f.Key]; ok {
			attrs = append(attrs, slog.Any(f.Key, value))
		}
	}
	return attrs
}
