// Package cron reads the expressions of cron, and finds the times that they match.
package cron

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shortestEvery is the shortest interval of "@every", and the resolution of cron.
const shortestEvery = time.Minute

// Timetable is when a job is due: at the times that match one of Calendars, or, without
// them, once in each interval of Every, counted from the beginning of 1970 in UTC. One
// that has neither is never due.
type Timetable struct {
	Calendars []Calendar
	Every     time.Duration
}

// Calendar matches the minutes all of whose fields are in its lists, each sorted.
// Weekdays begin with Sunday, 0.
type Calendar struct {
	Minutes, Hours, Days, Months, Weekdays []int
}

// field is one field of a cron expression.
type field struct {
	name     string
	min, max int
	words    []string // of the numbers from min on
}

var allFields = []field{
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of the month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, words: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "weekday", max: 7, words: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var words = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse parses a cron expression of five fields, "@daily" and its like, or "@every 90m".
// A day matches as in cron: if both the day of the month and the weekday are restricted,
// either suffices.
func Parse(text string) (Timetable, error) {
	text = strings.TrimSpace(text)
	if expanded, ok := words[text]; ok {
		text = expanded
	}
	every, isEvery := strings.CutPrefix(text, "@every ")
	switch {
	case isEvery:
		return parseEvery(every)
	case text == "@reboot":
		return Timetable{}, errors.New("@reboot is no time: a component without a schedule starts with its host")
	case strings.HasPrefix(text, "@"):
		return Timetable{}, errors.New("must be one of @hourly, @daily, @weekly, @monthly, @yearly and @every with a duration")
	case strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ="):
		return Timetable{}, errors.New("has a time zone, which belongs in the key timezone")
	}
	fields := strings.Fields(text)
	switch n := len(fields); {
	case n == 6 || n == 7:
		return Timetable{}, fmt.Errorf("has %d fields; it must have five, minute hour day month weekday: seconds and years are not supported", n)
	case n != len(allFields):
		return Timetable{}, fmt.Errorf(`must have five fields, minute hour day month weekday, such as "0 3 * * *"; it has %d`, n)
	}
	var lists [5][]int
	for i, field := range allFields {
		list, err := field.parse(fields[i])
		if err != nil {
			return Timetable{}, err
		}
		lists[i] = list
	}
	return newTimetable(lists, anyOf(fields[2]), anyOf(fields[4]))
}

// anyOf reports whether a field of days leaves the choice to the other one.
func anyOf(field string) bool { return strings.HasPrefix(field, "*") }

func newTimetable(lists [5][]int, anyDay, anyWeekday bool) (Timetable, error) {
	all := Calendar{Minutes: lists[0], Hours: lists[1], Days: lists[2], Months: lists[3], Weekdays: lists[4]}
	if anyDay || anyWeekday {
		if !all.fires() {
			return Timetable{}, errors.New("never fires: none of its months has such a day")
		}
		return Timetable{Calendars: []Calendar{all}}, nil
	}
	byDay, byWeekday := all, all
	byDay.Weekdays, byWeekday.Days = span(0, 6), span(1, 31)
	table := Timetable{Calendars: []Calendar{byDay, byWeekday}}
	if !byDay.fires() {
		table.Calendars = table.Calendars[1:]
	}
	return table, nil
}

// fires reports whether one of the months has one of the days.
func (c Calendar) fires() bool {
	return slices.ContainsFunc(c.Months, func(month int) bool {
		last := time.Date(2000, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day() // of a leap year
		return c.Days[0] <= last
	})
}

func parseEvery(text string) (Timetable, error) {
	every, err := time.ParseDuration(strings.TrimSpace(text))
	switch {
	case err != nil:
		return Timetable{}, fmt.Errorf(`must have a duration after @every, such as "@every 90m", not %q`, text)
	case every < shortestEvery || every%time.Second != 0:
		return Timetable{}, fmt.Errorf("must be at least @every %s, and of whole seconds", shortestEvery)
	}
	return Timetable{Every: every}, nil
}

// parse returns the numbers that a field selects, sorted.
func (f field) parse(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		numbers, err := f.part(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		list = append(list, numbers...)
	}
	if f.max == 7 { // Sunday has two numbers
		for i := range list {
			list[i] %= 7
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// part parses "*", "5", "mon-fri", "*/15" or "10-20/5".
func (f field) part(text string) ([]int, error) {
	bounds, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 || n > f.max {
			return nil, fmt.Errorf("%q: the step must be a number from 1 to %d", text, f.max)
		}
		step = n
	}
	from, to := f.min, f.max
	if f.max == 7 {
		to = 6
	}
	if bounds != "*" {
		first, last, ranged := strings.Cut(bounds, "-")
		var err error
		if from, err = f.number(first); err != nil {
			return nil, err
		}
		switch {
		case ranged:
			if to, err = f.number(last); err != nil {
				return nil, err
			}
		case !stepped:
			to = from
		}
		if to < from {
			return nil, fmt.Errorf("%q ends before it begins", text)
		}
	}
	var list []int
	for n := from; n <= to; n += step {
		list = append(list, n)
	}
	return list, nil
}

func (f field) number(text string) (int, error) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.min + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, f.min, f.max)
	}
	return n, nil
}

func span(from, to int) []int {
	var list []int
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// farthest is longer than any calendar goes without a match: eight years, between two
// leap years around 2100.
const farthest = 9 * 366 * 24 * time.Hour

// Next returns the first time after the given one at which a job is due, in a time zone;
// zero for never. A time that a change of the clocks skips is not due, and one that it
// repeats is due twice, as in Temporal.
func (t Timetable) Next(after time.Time, zone *time.Location) time.Time {
	if t.Every > 0 {
		seconds, every := after.Unix(), int64(t.Every/time.Second)
		return time.Unix(seconds-seconds%every+every, 0).In(zone)
	}
	var first time.Time
	for _, c := range t.Calendars {
		if next := c.next(after, zone); !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	return first
}

func (c Calendar) next(after time.Time, zone *time.Location) time.Time {
	at := after.In(zone).Truncate(time.Minute).Add(time.Minute)
	for limit := after.Add(farthest); at.Before(limit); {
		switch {
		case !slices.Contains(c.Months, int(at.Month())) || !slices.Contains(c.Days, at.Day()) || !slices.Contains(c.Weekdays, int(at.Weekday())):
			next := time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, zone)
			if !next.After(at) { // a midnight that does not exist
				next = at.Add(time.Hour)
			}
			at = next
		case !slices.Contains(c.Hours, at.Hour()):
			at = at.Add(time.Duration(60-at.Minute()) * time.Minute)
		case !slices.Contains(c.Minutes, at.Minute()):
			at = at.Add(time.Minute)
		default:
			return at
		}
	}
	return time.Time{}
}
