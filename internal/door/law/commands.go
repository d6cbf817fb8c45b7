package law

import (
	"fmt"

	command "go.temporal.io/api/command/v1"
	enums "go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// permitted are the commands that mcp's workflows issue.
var permitted = map[enums.CommandType]bool{
	enums.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK:                     true,
	enums.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK:               true,
	enums.COMMAND_TYPE_START_TIMER:                                true,
	enums.COMMAND_TYPE_CANCEL_TIMER:                               true,
	enums.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:                true,
	enums.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION:                    true,
	enums.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION:                  true,
	enums.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION:         true,
	enums.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION:             true,
	enums.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: true,
	enums.COMMAND_TYPE_RECORD_MARKER:                              true,
	enums.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:          true,
	enums.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES:                 true,
	enums.COMMAND_TYPE_PROTOCOL_MESSAGE:                           true,
}

// command judges a command of a workflow: one of mcp's, within the fleet's namespace.
func (c *call) command(given *command.Command) error {
	if !permitted[given.GetCommandType()] {
		return c.refused(ForbiddenField, "workflows of mcp do not give the command %s", given.GetCommandType())
	}
	var foreign string
	given.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() == nil {
			return true
		}
		attributes := value.Message()
		for _, name := range []protoreflect.Name{"namespace", "cron_schedule"} {
			of := attributes.Descriptor().Fields().ByName(name)
			if of != nil && attributes.Has(of) && attributes.Get(of).String() != c.law.namespace {
				foreign = fmt.Sprintf("%s %.80q", name, attributes.Get(of).String())
			}
		}
		return foreign == ""
	})
	if foreign != "" {
		return c.refused(ForbiddenField, "the command %s with the %s is not allowed", given.GetCommandType(), foreign)
	}
	return nil
}
