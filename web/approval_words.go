package web

// approveWords are the texts of step-ups and approvals.
type approveWords struct {
	OneMore, MoreTools, SameTask, NotLonger, Lent, New  string
	Own, OwnNote, WhoMay                                string
	KeepGoing, OtherwiseKeep, EndTask, Mode             string
	Title, Tab, WantsToCall, NoArguments, ShowAll, Size string
	Hidden, OneHidden, Allow, Deny, OnlyThis, SignAgain string
	SignAgainNote, InTask, AskedAt, Agent               string
	Waiting, OneWaits, ManyWait, Decide, Until          string
}

var approveEnglish = approveWords{
	OneMore:       "{0} asks for 1 more tool",
	MoreTools:     "{0} asks for {1} more tools",
	Own:           "Let {0} use this tool?",
	OwnNote:       "The agent is not asking now: a call of it was blocked, and you chose to allow its tool. It may use it once it asks for its next token. If you did not choose that, take “No, keep going without it”.",
	WhoMay:        "Who may use it",
	SameTask:      "Same task",
	NotLonger:     "It does not last longer for this; its deadline and its budget stay.",
	Lent:          "Already allowed for this task ({0}), unchanged",
	New:           "New",
	KeepGoing:     "No, keep going without it",
	OtherwiseKeep: "If you did not start it, or somebody sent you a link, choose “No, keep going without it”.",
	EndTask:       "End the whole task now",
	Mode:          "How may it be used?",

	Title:         "May {0} do this?",
	Tab:           "Allow this one call?",
	WantsToCall:   "It wants to call, now",
	NoArguments:   "without any arguments",
	ShowAll:       "Show all of it",
	Size:          "{0} characters",
	Hidden:        "{0} characters in it cannot be seen; they stand here as ⟨U+…⟩",
	OneHidden:     "one character in it cannot be seen; it stands here as ⟨U+…⟩",
	Allow:         "Allow this call once",
	Deny:          "Don’t allow",
	OnlyThis:      "Your answer counts for exactly this call: this tool with these arguments, once.",
	SignAgain:     "Sign in again to allow it",
	SignAgainNote: "This can destroy something. To allow it, show that it is you.",
	InTask:        "For the task",
	AskedAt:       "Asked",
	Agent:         "Agent",

	Waiting:  "Waiting for you",
	OneWaits: "1 call waits for your answer.",
	ManyWait: "{0} calls wait for your answer.",
	Decide:   "Look and decide",
	Until:    "until {0}",
}
