package web

import "strconv"

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
