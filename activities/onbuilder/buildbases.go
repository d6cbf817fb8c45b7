package onbuilder

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// maxContainerfile bounds what is read of a Containerfile to find its bases.
const maxContainerfile = 1 << 20

// basesOf returns the images that a Containerfile begins with or copies from, and those
// whose names are not known before the build.
func basesOf(containerfile string, args map[string]string) (images, unknown []string, err error) {
	file, err := os.Open(containerfile)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, err, "read the Containerfile")
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxContainerfile+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the Containerfile: %w", err)
	case len(text) > maxContainerfile:
		return nil, nil, fault.New(fault.Invalid, "the Containerfile has more than %d KiB", maxContainerfile>>10)
	}
	images, unknown = bases(string(text), args)
	return images, unknown, nil
}

// basesInsecure reports whether all images that a Containerfile begins with or copies from
// are in image registries that speak plain http. One flag of the engine applies to all of
// them, so that with one other registry it verifies certificates.
func (a *Builder) basesInsecure(images []string) bool {
	for _, image := range images {
		if !a.Insecure(image) {
			return false
		}
	}
	return len(images) > 0
}

var (
	argLine   = regexp.MustCompile(`(?i)^\s*ARG\s+(\w+)(?:=["']?([^"'\s]*)["']?)?`)
	fromLine  = regexp.MustCompile(`(?i)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?`)
	fromFlag  = regexp.MustCompile(`\s--from=["']?([^"'\s]+)`)
	mountFlag = regexp.MustCompile(`\s--mount=\S*\bfrom=([^,\s]+)`)
)

// bases returns the images that a Containerfile names in FROM and --from. The variables in
// them have the values of args, or else of ARG instructions before the first FROM. Unknown
// are those with other variables.
func bases(containerfile string, args map[string]string) (images, unknown []string) {
	values, stages := map[string]string{}, map[string]bool{"scratch": true}
	add := func(image string) {
		known, written := true, image
		image = os.Expand(image, func(name string) string {
			value := values[name]
			known = known && value != "" // ${NAME:-default} is not resolved either
			return value
		})
		if !known {
			unknown = append(unknown, written)
			return
		}
		_, err := strconv.Atoi(image)
		if err != nil && image != "" && !stages[strings.ToLower(image)] {
			images = append(images, image)
		}
	}
	begun := false
	for line := range strings.Lines(strings.ReplaceAll(containerfile, "\\\n", " ")) {
		if arg := argLine.FindStringSubmatch(line); arg != nil && !begun {
			values[arg[1]] = arg[2]
			if given, ok := args[arg[1]]; ok {
				values[arg[1]] = given
			}
			continue
		}
		if from := fromLine.FindStringSubmatch(line); from != nil {
			begun = true
			add(from[1])
			if from[2] != "" {
				stages[strings.ToLower(from[2])] = true
			}
			continue
		}
		for _, flag := range []*regexp.Regexp{fromFlag, mountFlag} {
			for _, found := range flag.FindAllStringSubmatch(line, -1) {
				add(found[1])
			}
		}
	}
	return images, unknown
}
