package web

import (
	"slices"
	"strconv"
)

// headline is what the first line of the consent page calls the client: what an admin or the
// domain vouches for, never the name that it gave itself.
func (c ClientCard) headline() string {
	if c.Host != "" {
		return exact(c.Host)
	}
	return plain(c.Title, maxName)
}

// claimedName is the name that the client gave itself, where it says more than what is vouched for.
func (c ClientCard) claimedName() string {
	if name := plain(c.Name, maxName); name != c.headline() {
		return name
	}
	return ""
}

func (c Consent) toolCount() int {
	n := 0
	for _, g := range c.Groups {
		n += len(g.Tools)
	}
	return n
}

// limitID is the id of one field of a tool's limits.
func limitID(tool string, argument, field int) string {
	return tool + "-limit-" + strconv.Itoa(argument) + "-" + strconv.Itoa(field)
}

func (t ToolRow) field() string {
	if t.Field != "" {
		return t.Field
	}
	return FieldTool
}

// title is the plain title of the tool, or its code name where the manifest gives none.
func (t ToolRow) title() string {
	if title := plain(t.Title, maxName); title != "" {
		return title
	}
	return exact(t.Name)
}

// limited reports whether something is written in the tool's limits already.
func (t ToolRow) limited() bool {
	return slices.ContainsFunc(t.Limits, func(l Limit) bool { return l.Open })
}

// expiryWords are the texts about how long a page can be answered.
type expiryWords struct{ Until, More, Soon, Over string }

var expiryEnglish = expiryWords{
	Until: "You can answer until {0}.",
	More:  "Give me more time",
	Soon:  "This page can be answered for one more minute. You can ask for more time below.",
	Over:  "The time to answer is over. Go back to the app and start again.",
}

var expiryGerman = expiryWords{
	Until: "Sie können bis {0} antworten.",
	More:  "Ich brauche mehr Zeit",
	Soon:  "Diese Seite lässt sich noch eine Minute lang beantworten. Unten können Sie mehr Zeit bekommen.",
	Over:  "Die Zeit für eine Antwort ist um. Gehen Sie zur App zurück und beginnen Sie neu.",
}
