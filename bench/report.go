package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// write writes results.json and growth.json, and the table into the page. Rows
// that this run did not measure stay unchanged.
func (b *bench) write() error {
	all, err := keep(filepath.Join(b.options.out, "results.json"), b.results, func(r result) string { return r.Name })
	if err != nil {
		return err
	}
	if _, err := keep(filepath.Join(b.options.out, "growth.json"), b.curves, func(c *curve) string { return c.Name }); err != nil {
		return err
	}
	if b.options.page == "" {
		return nil
	}
	return intoPage(b.options.page, "table", table(all))
}

// keep adds things to a file, replacing those with the same names, and returns
// all that it then holds.
func keep[T any](path string, things []T, name func(T) string) ([]T, error) {
	var all []T
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for _, thing := range things {
		if i := slices.IndexFunc(all, func(t T) bool { return name(t) == name(thing) }); i >= 0 {
			all[i] = thing
		} else {
			all = append(all, thing)
		}
	}
	if text, err = json.MarshalIndent(all, "", "  "); err != nil {
		return nil, err
	}
	return all, os.WriteFile(path, append(text, '\n'), 0o644)
}

// table returns the results in Markdown, followed by the measured commands.
func table(results []result) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s, %d cores, %s. Medians, with the quartiles in brackets.\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	t.WriteString("| name | work | mcp | reference | ratio | target | |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		reference, ratio, target := "–", "–", "–"
		if r.Ratio != 0 {
			reference, ratio = spread(r.Reference, r.ReferenceSpread, r.Unit), fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Target != 0 {
			target = fmt.Sprintf("≤ %g", r.Target)
			if r.Ratio == 0 {
				target += " " + r.Unit
			}
		}
		fmt.Fprintf(&t, "| `%s` | %s | %s | %s | %s | %s | %s |\n",
			r.Name, r.Work, spread(r.Value, r.Spread, r.Unit), reference, ratio, target, r.held())
	}
	t.WriteString("\n| name | samples | command | reference |\n| --- | --- | --- | --- |\n")
	for _, r := range results {
		fmt.Fprintf(&t, "| `%s` | %d after %d | %s | %s |\n", r.Name, r.Samples, r.Warmup, code(r.Command), code(r.ReferenceCommand))
	}
	return t.String()
}

func spread(median float64, quartiles [2]float64, unit string) string {
	return fmt.Sprintf("%s %s (%s–%s)", figure(median), unit, figure(quartiles[0]), figure(quartiles[1]))
}

func code(text string) string {
	if text == "" {
		return "–"
	}
	return "`" + strings.ReplaceAll(text, "|", "\\|") + "`"
}

// intoPage replaces the text between the marks of that name in a page.
func intoPage(path, name, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	marks := regexp.MustCompile(fmt.Sprintf(`(?s)(<!-- %[1]s -->\n).*(<!-- /%[1]s -->)`, regexp.QuoteMeta(name)))
	if !marks.Match(page) {
		return fmt.Errorf("%s has no mark <!-- %s -->", path, name)
	}
	parts := marks.FindSubmatchIndex(page)
	var b strings.Builder
	b.Write(page[:parts[3]])
	b.WriteString(text)
	b.Write(page[parts[4]:])
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// lines puts each text on its own, indented line.
func lines(of []string) string { return "\n  " + strings.Join(of, "\n  ") }

// line formats a result as one line of text.
func (r result) line() string {
	text := fmt.Sprintf("%-24s %s %s", r.Name, figure(r.Value), r.Unit)
	if r.Ratio != 0 {
		text += fmt.Sprintf(", %.2f times %s", r.Ratio, figure(r.Reference))
	}
	if r.Target != 0 {
		text += fmt.Sprintf("; target %g, %s", r.Target, r.held())
	}
	return text
}

func (r result) held() string {
	switch {
	case r.Target == 0:
		return ""
	case r.Holds:
		return "holds"
	}
	return "**missed**"
}

// figure formats a number with three significant digits.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
