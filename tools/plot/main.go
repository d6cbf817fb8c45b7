// Command plot draws the curves of bench/growth.json: plot FILE DIRECTORY writes
// growth-NAME.svg for each.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// curve is one of bench's.
type curve struct {
	Name, Title, X, Y string
	Points            plotter.XYs
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot FILE DIRECTORY")
		os.Exit(2)
	}
	if err := drawAll(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func drawAll(file, directory string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var curves []curve
	if err := json.Unmarshal(text, &curves); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	for _, c := range curves {
		if err := c.draw(filepath.Join(directory, "growth-"+c.Name+".svg")); err != nil {
			return fmt.Errorf("draw %s: %w", c.Name, err)
		}
	}
	return nil
}

// draw draws the curve from zero, so that what is flat looks flat.
func (c curve) draw(file string) error {
	slices.SortFunc(c.Points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Add(plotter.NewGrid())
	if err := plotutil.AddLinePoints(p, c.Points); err != nil {
		return err
	}
	p.X.Min, p.Y.Min = 0, 0
	p.X.Max *= 1.05 // room for the last number
	return p.Save(12*vg.Centimeter, 8*vg.Centimeter, file)
}
