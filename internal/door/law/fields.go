package law

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fields are the fields that a request may have. A request with another one is refused,
// even one of a later version of Temporal's API, so that only allowed fields are passed
// on.
type fields struct {
	// all allows whatever is below, and drop removes it.
	all, drop bool
	next      map[string]*fields
}

// only returns the fields of these paths, such as "task_queue.name". The path "input.*"
// allows all of input, and "-links" removes links.
func only(paths ...string) *fields {
	root := &fields{next: map[string]*fields{}}
	for _, path := range paths {
		path, drop := strings.CutPrefix(path, "-")
		at := root
		for _, name := range strings.Split(path, ".") {
			if name == "*" {
				at.all = true
				break
			}
			if at.next == nil {
				at.next = map[string]*fields{}
			}
			if at.next[name] == nil {
				at.next[name] = &fields{}
			}
			at = at.next[name]
		}
		at.drop = drop
	}
	return root
}

// keep removes from m what is dropped, and fails for what is not allowed. An empty message
// counts as none.
func (f *fields) keep(m protoreflect.Message) error {
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		number, _, _ := protowire.ConsumeField(unknown)
		return fmt.Errorf("%s has field %d, which this gateway does not know", m.Descriptor().Name(), number)
	}
	var drop []protoreflect.FieldDescriptor
	var err error
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		next, allowed := f.next[string(field.Name())]
		switch {
		case f.all:
			err = each(field, value, f.keep)
		case allowed && next.drop, !allowed && isEmpty(field, value):
			drop = append(drop, field)
		case !allowed:
			err = fmt.Errorf("%s.%s is not allowed", m.Descriptor().Name(), field.Name())
		default:
			err = each(field, value, next.keep)
		}
		return err == nil
	})
	for _, field := range drop {
		m.Clear(field)
	}
	return err
}

// each calls keep for every message in the value of a field.
func each(field protoreflect.FieldDescriptor, value protoreflect.Value, keep func(protoreflect.Message) error) (err error) {
	switch {
	case field.IsMap() && field.MapValue().Message() != nil:
		value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			err = keep(v.Message())
			return err == nil
		})
	case field.IsList() && field.Message() != nil:
		for i := 0; i < value.List().Len() && err == nil; i++ {
			err = keep(value.List().Get(i).Message())
		}
	case !field.IsMap() && field.Message() != nil:
		err = keep(value.Message())
	}
	return err
}

func isEmpty(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
	return !field.IsMap() && !field.IsList() && field.Message() != nil && proto.Size(value.Message().Interface()) == 0
}

func valueOf(text string) protoreflect.Value { return protoreflect.ValueOfString(text) }
