package web

import "strconv"

// Figure is one number of the overview.
type Figure struct {
	Value, Text string
	Tone        string // bad: what a person should notice
}

// Chart is a picture of numbers, drawn by the server, with the same numbers as a table beside it.
type Chart struct {
	ID    string
	Title string
	Note  string // what the colours mean
	Bars  []Bar
	Table Table
}

// Bar is one of them, from the left; Bad is the part of it that was refused.
type Bar struct{ Value, Bad int }

// The picture's own units; it is as wide as there is room.
const (
	chartWidth  = 600
	chartHeight = 100
)

// rect is a rectangle of the picture.
type rect struct{ x, y, width, height, class string }

// rects draws the bars: the tallest reaches the top, and whatever is not zero can be seen.
func (c Chart) rects() (all []rect) {
	most := 1
	for _, b := range c.Bars {
		most = max(most, b.Value)
	}
	wide := float64(chartWidth) / float64(max(1, len(c.Bars)))
	for i, b := range c.Bars {
		add := func(value int, class string) {
			if value <= 0 {
				return
			}
			tall := max(2, float64(value)*chartHeight/float64(most))
			all = append(all, rect{number(float64(i)*wide + wide*.1), number(chartHeight - tall), number(wide * .8), number(tall), class})
		}
		add(b.Value, "bar")
		add(min(b.Bad, b.Value), "bar refused")
	}
	return all
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
