package blackbox

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
)

// Page is what a browser without scripts makes of an HTML answer.
type Page struct {
	URL   string
	Title string
	Text  string // all visible text, blanks folded
	Forms []PageForm
}

// PageForm is a form of a page.
type PageForm struct {
	Action, Method string
	Inputs         []Input
}

// Input is a control of a form.
type Input struct {
	Type, Name, Value string
	Checked, Disabled bool
}

// ParsePage reads HTML.
func ParsePage(url string, body []byte) Page {
	p := Page{URL: url}
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return p
	}
	var text strings.Builder
	p.walk(root, nil, &text)
	p.Text = strings.Join(strings.Fields(text.String()), " ")
	return p
}

func (p *Page) walk(n *html.Node, form *PageForm, text *strings.Builder) {
	switch {
	case n.Type == html.TextNode:
		text.WriteString(n.Data + " ")
	case n.Type != html.ElementNode:
	case n.Data == "script" || n.Data == "style":
		return
	case n.Data == "title" && n.FirstChild != nil:
		p.Title = n.FirstChild.Data
	case n.Data == "form":
		p.Forms = append(p.Forms, PageForm{Action: attr(n, "action"), Method: strings.ToUpper(attr(n, "method"))})
		form = &p.Forms[len(p.Forms)-1]
	case form != nil && (n.Data == "input" || n.Data == "button" || n.Data == "textarea"):
		form.Inputs = append(form.Inputs, input(n))
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.walk(c, form, text)
	}
}

func input(n *html.Node) Input {
	i := Input{Type: attr(n, "type"), Name: attr(n, "name"), Value: attr(n, "value"), Checked: has(n, "checked"), Disabled: has(n, "disabled")}
	switch {
	case n.Data == "button" && i.Type == "":
		i.Type = "submit"
	case n.Data == "input" && i.Type == "":
		i.Type = "text"
	}
	return i
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// With returns the page's form that has a control of this name.
func (p Page) With(name string) (PageForm, bool) {
	for _, f := range p.Forms {
		for _, i := range f.Inputs {
			if i.Name == name {
				return f, true
			}
		}
	}
	return PageForm{}, false
}

// Values returns the values of the controls with this name, and which of them are checked.
func (f PageForm) Values(name string) (all, checked []string) {
	for _, i := range f.Inputs {
		if i.Name != name || i.Disabled {
			continue
		}
		all = append(all, i.Value)
		if i.Checked {
			checked = append(checked, i.Value)
		}
	}
	return all, checked
}

// Filled is what a browser would submit with nothing touched and no button pressed.
func (f PageForm) Filled() Form {
	var out Form
	for _, i := range f.Inputs {
		switch {
		case i.Disabled || i.Name == "" || i.Type == "submit" || i.Type == "button":
		case (i.Type == "checkbox" || i.Type == "radio") && !i.Checked:
		default:
			out = append(out, Param{i.Name, i.Value})
		}
	}
	return out
}
