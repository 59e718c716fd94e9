package web

// FieldRemembered names a remembered choice, on the agents page and on the short page that goes by one;
// ActionForget forgets it.
const (
	FieldRemembered = "remembered"
	ActionForget    = "forget"
)

// Continue is the short page for what the user let go on: who asks, what they get, and for how long.
type Continue struct {
	Page
	Action    string
	Hidden    []Field
	Client    ClientCard
	Task      TaskCard
	Tools     []LentTool // what goes on
	Left      []string   // what was offered then and not allowed
	For       string     // how long the task lasts at most
	Since     string     // since when and until when it goes on
	Change    string     // the page that asks
	AgentsURL string
}

// RememberedRow is one choice that goes on, on the agents page.
type RememberedRow struct {
	ID       string
	Client   string // host of the client_id, or the admin's name for it
	Name     string // self-asserted, quoted; empty: not shown
	Resource string
	Tools    []LentTool
	For      string // how long a task lasts at most
	Until    string
	Used     string
}

// continueWords are the texts about choices that go on.
type continueWords struct {
	Title, Tab, AsBefore, For, NotIncluded, Continue, Change string
	Remembered, Note, Forget, Until, About, Used             string
}

var continueEnglish = continueWords{
	Title:       "Continuing as before: {0} in your {1}",
	Tab:         "Continue with {0} as before?",
	AsBefore:    "What it may do, as you chose before",
	For:         "Ends when the task is finished, and at the latest after {0}.",
	NotIncluded: "Not included, as before: {0}",
	Continue:    "Continue",
	Change:      "Change…",

	Remembered: "Remembered choices",
	Note:       "These agents may begin a task that only reads without asking you about each tool again. A tool, rule or app that changes is asked about anew.",
	Forget:     "Forget",
	Until:      "Until",
	About:      "the choice for {0} in {1}",
	Used:       "Used",
}

var continueGerman = continueWords{
	Title:       "Weiter wie bisher: {0} in Ihrem Dienst {1}",
	Tab:         "Mit {0} weiter wie bisher?",
	AsBefore:    "Was es darf, wie Sie es zuvor gewählt haben",
	For:         "Endet, wenn die Aufgabe erledigt ist, spätestens nach {0}.",
	NotIncluded: "Wie bisher nicht dabei: {0}",
	Continue:    "Weiter",
	Change:      "Ändern …",

	Remembered: "Gemerkte Entscheidungen",
	Note:       "Diese Agenten dürfen eine Aufgabe, die nur liest, beginnen, ohne Sie erneut zu jedem Werkzeug zu fragen. Ändert sich ein Werkzeug, eine Regel oder die App, werden Sie neu gefragt.",
	Forget:     "Vergessen",
	Until:      "Bis",
	About:      "die Entscheidung für {0} in {1}",
	Used:       "Benutzt",
}
