package consent

import (
	"slices"
	"unicode"
)

// Line is one line of a comparison: " " in both, "-" approved only, "+" offered only, and "…" for
// lines in both that are left out.
type Line struct {
	Op   string `json:"op"`
	Text string `json:"text"`
}

// Of a comparison: unchanged lines around each change, and how much work a comparison may be.
const (
	aroundChange = 3
	maxCompared  = 4 << 20
)

// compare finds the least difference of two texts, line by line.
func compare(old, now []string) []Line {
	head := 0
	for head < min(len(old), len(now)) && old[head] == now[head] {
		head++
	}
	tail := 0
	for tail < min(len(old), len(now))-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	all := marked(" ", old[:head])
	all = append(all, middle(old[head:len(old)-tail], now[head:len(now)-tail])...)
	return shorten(append(all, marked(" ", old[len(old)-tail:])...))
}

// middle compares by the longest common subsequence; what is too long for that is taken whole.
func middle(old, now []string) []Line {
	if len(old)*len(now) > maxCompared {
		return append(marked("-", old), marked("+", now)...)
	}
	width := len(now) + 1
	longest := make([]int32, (len(old)+1)*width) // of what is left from i and j on
	for i := len(old) - 1; i >= 0; i-- {
		for j := len(now) - 1; j >= 0; j-- {
			if old[i] == now[j] {
				longest[i*width+j] = longest[(i+1)*width+j+1] + 1
			} else {
				longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
			}
		}
	}
	var all []Line
	i, j := 0, 0
	for i < len(old) && j < len(now) {
		switch {
		case old[i] == now[j]:
			all = append(all, Line{" ", old[i]})
			i, j = i+1, j+1
		case longest[(i+1)*width+j] >= longest[i*width+j+1]:
			all = append(all, Line{"-", old[i]})
			i++
		default:
			all = append(all, Line{"+", now[j]})
			j++
		}
	}
	return append(append(all, marked("-", old[i:])...), marked("+", now[j:])...)
}

func marked(op string, lines []string) []Line {
	all := make([]Line, 0, len(lines))
	for _, text := range lines {
		all = append(all, Line{op, text})
	}
	return all
}

// shorten leaves out what is far from every change.
func shorten(lines []Line) []Line {
	near := make([]bool, len(lines))
	for i, l := range lines {
		if l.Op != " " {
			for k := max(0, i-aroundChange); k <= min(len(lines)-1, i+aroundChange); k++ {
				near[k] = true
			}
		}
	}
	var all []Line
	for i, l := range lines {
		switch {
		case near[i]:
			all = append(all, l)
		case i == 0 || near[i-1]:
			all = append(all, Line{Op: "…"})
		}
	}
	return slices.Clip(all)
}

// hidden reports whether a rune draws nothing, or changes how others are drawn: controls, format
// characters (bidi overrides, zero widths, tags), separators, letters and spaces without a shape of
// their own.
func hidden(r rune) bool {
	switch r {
	case '\n', ' ':
		return false
	case '\u115F', '\u1160', '\u3164', '\uFFA0', '\u2800', '\u034F', unicode.ReplacementChar:
		return true
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
}
