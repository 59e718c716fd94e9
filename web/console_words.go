package web

// consoleWords is the console's part of the catalogue.
type consoleWords struct {
	Console, Areas, Tasks, Findings                          string
	Unusual, NoFindings, AllFindings, Timeline, FindingsNote string
	Filter, Show, Clear, TickToEnd, Tick                     string
	CommandLine, Reason, ReasonNote, TypeCount, Back         string
	AsTable                                                  string
	Newest, Older, Was, Is, LeftOut, Differs, Definition     string
	Earlier, Further, Active, Without                        string
	Dismissed, NoneDismissed                                 string
}

var consoleEnglish = consoleWords{
	Console:       "Console",
	Areas:         "Parts of the console",
	Tasks:         "Tasks",
	Findings:      "Findings",
	Unusual:       "Unusual",
	NoFindings:    "Nothing unusual was found.",
	AllFindings:   "All findings",
	Timeline:      "Timeline",
	FindingsNote:  "What rules suspended, credentials that came from a wrong client or key, and what Guards told and the server cannot vouch for.",
	Filter:        "Filter",
	Show:          "Show",
	Clear:         "Clear",
	TickToEnd:     "End the ticked tasks…",
	Tick:          "Choose",
	CommandLine:   "On the command line",
	Reason:        "Reason",
	ReasonNote:    "kept in the ledger",
	TypeCount:     "Type {0} to go on",
	Back:          "Back",
	AsTable:       "As a table",
	Newest:        "Newest",
	Older:         "Older",
	Earlier:       "Previous page",
	Further:       "Next page",
	Dismissed:     "Dismissed findings",
	NoneDismissed: "Nobody has dismissed a finding.",
	Active:        "What narrows the list",
	Without:       "Without",
	Was:           "approved:",
	Is:            "offered now:",
	LeftOut:       "lines that are the same",
	Differs:       "{0}: approved (−) and offered now (+)",
	Definition:    "The definition that would be approved:",
}
