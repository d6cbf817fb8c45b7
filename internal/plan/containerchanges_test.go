package plan_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// settings sets one value for each type of a setting, and another key of it in changes.
var settings = map[reflect.Type]struct {
	value any
	key   string
}{
	reflect.TypeFor[string]():                       {"x", ""},
	reflect.TypeFor[bool]():                         {true, ""},
	reflect.TypeFor[int]():                          {7, ""},
	reflect.TypeFor[[]string]():                     {[]string{"x"}, ""},
	reflect.TypeFor[servicedef.Strings]():           {servicedef.Strings{"x"}, ""},
	reflect.TypeFor[map[string]string]():            {map[string]string{"x": "y"}, ".x"},
	reflect.TypeFor[servicedef.Sysctls]():           {servicedef.Sysctls{"x": "y"}, ".x"},
	reflect.TypeFor[map[string]servicedef.Ulimit](): {map[string]servicedef.Ulimit{"x": {Soft: 1, Hard: 2}}, ".x"},
	reflect.TypeFor[[]servicedef.File]():            {[]servicedef.File{{Target: "/x", Content: "y"}}, "./x"},
}

// Every setting of the engine needs a new container, and the plan names it.
func TestAChangedSettingReplacesTheContainer(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[servicedef.Container]()) {
		key := field.Tag.Get("toml")
		t.Run(key, func(t *testing.T) {
			setting, known := settings[field.Type]
			require.True(t, known, "%s", field.Type)
			in := steady()
			api := &in.Desired.Components[0]
			reflect.ValueOf(&api.Container).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(setting.value))
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, "~api@rift =web@rift", actions(made))
			require.Len(t, made.Steps[0].Changes, 1)
			require.Equal(t, key+setting.key, made.Steps[0].Changes[0].Field)

			// And back, as a rollback does.
			released := in.Desired
			in = steady()
			member := in.Release.Components["api"]
			member.Spec = plan.SpecHash(released.Components[0], oldDigest)
			in.Release.Components["api"], in.Release.Definition = member, &released
			in.Nodes["rift"].Containers[0].Spec = member.Spec
			made, err = plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, []plan.Change{{Field: key + setting.key, From: made.Steps[0].Changes[0].From, To: "removed"}}, made.Steps[0].Changes)
		})
	}
}

func TestAFileIsComparedByItsContentModeAndOwner(t *testing.T) {
	file := servicedef.File{Target: "/etc/a", Content: "a"}
	seen := map[string]bool{}
	for _, change := range []func(f *servicedef.File){
		func(*servicedef.File) {},
		func(f *servicedef.File) { f.Content = "b" },
		func(f *servicedef.File) { f.Mode = "0400" },
		func(f *servicedef.File) { f.UID = 1 },
		func(f *servicedef.File) { f.GID = 1 },
	} {
		changed := file
		change(&changed)
		component := servicedef.Component{Container: servicedef.Container{Files: []servicedef.File{changed}}}
		text := component.Settings()["files./etc/a"]
		require.False(t, seen[text], text)
		hash := plan.SpecHash(component, "")
		require.False(t, seen[hash])
		seen[text], seen[hash] = true, true
	}
}

func TestASettingThatTheEngineLacksIsRefused(t *testing.T) {
	lack := plan.Lack{Key: "gpus", Reason: "has none", Hint: "buy one"}
	in := steady()
	in.Desired.Components[1].GPUs = servicedef.Strings{"all"}
	node := in.Nodes["rift"]
	node.Lacks = map[string][]plan.Lack{"web": {lack}}
	in.Nodes["rift"] = node
	_, err := plan.Make(in)
	var lacking *plan.LackingError
	require.ErrorAs(t, err, &lacking)
	require.Equal(t, plan.LackingError{Component: "web", Node: "rift", Lack: lack}, *lacking)
	require.EqualError(t, err, "component web sets gpus, and the engine of node rift has none")

	in.Desired.Components[1].GPUs = nil // what runs stays
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift =web@rift", actions(made))
}

func TestAVersionIsPartOfTheContainer(t *testing.T) {
	c := shop().Components[0]
	without := plan.SpecHash(c, oldDigest)
	c.Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 6}}
	six := plan.SpecHash(c, oldDigest)
	c.Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 7}}
	require.NotEqual(t, without, six)
	require.NotEqual(t, six, plan.SpecHash(c, oldDigest))
}
