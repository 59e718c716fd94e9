package web

import "slices"

// Narrow is the page on which a user takes back part of a running task.
type Narrow struct {
	Page
	Action    string
	Hidden    []Field
	Back      string // the agents page
	Task      TaskRow
	Resource  string
	URI       string
	Others    []Link // the task's parts at other servers
	Notice    string
	Groups    []ToolGroup
	Durations []Duration // until when at most: the first as it is
}

// reads reports whether the page asks about anything but tools.
func (n Narrow) reads() bool {
	return slices.ContainsFunc(n.Groups, func(g ToolGroup) bool {
		return slices.ContainsFunc(g.Tools, func(t ToolRow) bool { return t.Field == FieldRead })
	})
}

// narrowWords are its texts.
type narrowWords struct {
	Change, Title, Note, May, Untick, Until, Save, Others, ReadNote, Nothing, Offline, LastUsed string
}

var narrowEnglish = narrowWords{
	Change:   "Change tools…",
	Title:    "What {0} may do in your {1}",
	Note:     "You can only take away here: untick tools, limit them, end the task sooner. It counts at once, and a number of calls counts from now on. For more, the agent has to ask you, or you choose “Allow this tool…” beside a blocked call.",
	May:      "What it may do",
	Untick:   "untick what it is to do no longer",
	Until:    "Ends at the latest",
	Save:     "Allow only this from now on",
	Others:   "The same task at other servers:",
	ReadNote: "Tools that come by the same permission go with what you untick under “Read documents and prompts”.",
	Offline:  "Goes on while you are away",
	LastUsed: "Last used",
	Nothing:  "With nothing ticked, the task ends here.",
}

var narrowGerman = narrowWords{
	Change:   "Werkzeuge ändern …",
	Title:    "Was {0} in Ihrem Dienst {1} darf",
	Note:     "Hier können Sie nur wegnehmen: Haken bei Werkzeugen entfernen, sie begrenzen, die Aufgabe früher enden lassen. Es gilt sofort, und eine Zahl von Aufrufen zählt ab jetzt. Für mehr muss der Agent Sie fragen, oder Sie wählen „Dieses Werkzeug erlauben …“ neben einem abgelehnten Aufruf.",
	May:      "Was es darf",
	Untick:   "entfernen Sie den Haken bei allem, was es nicht mehr tun soll",
	Until:    "Endet spätestens",
	Save:     "Ab jetzt nur das erlauben",
	Others:   "Dieselbe Aufgabe bei anderen Diensten:",
	ReadNote: "Mit dem, was Sie unter „Dokumente und Vorlagen lesen“ abwählen, entfallen auch Werkzeuge derselben Berechtigung.",
	Offline:  "Läuft auch ohne Sie weiter",
	LastUsed: "Zuletzt benutzt",
	Nothing:  "Ohne jeden Haken endet die Aufgabe hier.",
}
