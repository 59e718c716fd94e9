package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// narrator writes the scene: a numbered heading per act, and under it aligned lines of who, what
// and how it went.
type narrator struct {
	out    io.Writer
	colour bool
	act    int
}

// newNarrator colours its lines only where somebody sees them.
func newNarrator(out io.Writer) *narrator {
	n := &narrator{out: out}
	if f, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		n.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return n
}

// The colours of SGR that are used.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (n *narrator) paint(sgr, s string) string {
	if !n.colour || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// heading begins an act.
func (n *narrator) heading(title string) {
	n.act++
	fmt.Fprintf(n.out, "\n%s\n", n.paint(bold, fmt.Sprintf("%d  %s", n.act, title)))
}

// line tells that who did what, and how it went.
func (n *narrator) line(who, what, outcome string) { n.row(" ", "", who, what, outcome) }

// allowed and refused tell how a call went.
func (n *narrator) allowed(who, what, outcome string) { n.row("✓", green, who, what, outcome) }

func (n *narrator) refused(who, what, outcome string) { n.row("✕", red, who, what, outcome) }

func (n *narrator) row(mark, sgr, who, what, outcome string) {
	fmt.Fprintf(n.out, " %s %s %s %s\n", n.paint(sgr, mark), pad(who, 16), pad(what, 44), outcome)
}

// text writes lines of prose under the act.
func (n *narrator) text(lines ...string) {
	for _, l := range lines {
		if l == "" {
			fmt.Fprintln(n.out)
			continue
		}
		fmt.Fprintf(n.out, "   %s\n", l)
	}
}

// quiet writes a line of lesser weight.
func (n *narrator) quiet(line string) { fmt.Fprintf(n.out, "   %s\n", n.paint(dim, line)) }

// address writes something to copy, alone on its line.
func (n *narrator) address(s string) { fmt.Fprintf(n.out, "\n     %s\n\n", n.paint(bold, s)) }

func pad(s string, width int) string {
	if missing := width - utf8.RuneCountInString(s); missing > 0 {
		return s + strings.Repeat(" ", missing)
	}
	return s
}
