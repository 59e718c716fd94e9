package web

// sampleStepUp is a task that asks for one more tool, and for wider limits of another.
func sampleStepUp(m func(string) string) Consent {
	c := sampleConsent(m)
	c.Durations, c.LeftOut, c.Remember = nil, nil, 0
	c.StepUp = &StepUp{Left: m("12 min left"), Calls: m("14 calls so far"), Lent: []LentTool{
		{Name: m("search_tickets"), Title: m("Search tickets"), Chips: []Chip{{Text: m("Only project: WEB"), Tone: ToneInfo, Icon: "limit"}}},
		{Name: m("get_ticket"), Title: m("Read a ticket")},
		{Name: m("add_comment"), Title: m("Comment on a ticket")},
	}}
	c.Groups = []ToolGroup{{Title: m("Change things"), Tools: []ToolRow{{
		Name: "email_customer", Title: m("Email a customer"), Description: m("Sends mail to people outside Acme. It cannot be unsent."),
		Chips: []Chip{{Text: m("Changes data"), Tone: ToneWarn, Icon: "pencil"}, {Text: m("Leaves Acme"), Tone: ToneWarn, Icon: "arrow"}},
		Note:  m("You allowed this before: Only project: OPS. Your answer here replaces that."),
		Modes: []Mode{{"task", m("For this task"), true}, {"each_call", m("Ask me each time"), false}, {"1", m("For 1 call only"), false}},
	}}}}
	return c
}

// sampleOwnStepUp is asked by the user, not by the client.
func sampleOwnStepUp(m func(string) string) Consent {
	c := sampleStepUp(m)
	c.Client.Own, c.Client.Loopback, c.Client.RedirectHost, c.Client.RedirectNote = true, false, "", ""
	return c
}

// sampleApproval is one waiting call, with an argument that is long and one that hides something.
func sampleApproval(m func(string) string) Approval {
	long := "Dear Li,\n\nthe sign-in button works again in Safari. "
	for range 12 {
		long += "We are sorry for the trouble that this has caused. "
	}
	return Approval{
		Page: samplePage(m), Action: "/approvals/apv_1", Hidden: []Field{{"shown", m("token")}}, Live: Live{Source: "/agents/live", Again: 60},
		Client: m("claude.ai"), Name: m("Claude Code"), Purpose: m("Triage this week’s open bugs in project WEB"), Resource: m("Tickets"), URI: m("https://tickets.acme.example/mcp"),
		Tool: ToolRow{
			Name: m("email_customer"), Title: m("Email a customer"), Description: m("Sends mail to people outside Acme. It cannot be unsent."),
			Chips: []Chip{{Text: m("Changes data"), Tone: ToneWarn, Icon: "pencil"}, {Text: m("Leaves Acme"), Tone: ToneWarn, Icon: "arrow"}},
		},
		Arguments: []Argument{
			{Name: "body", Kind: "text", Text: long},
			{Name: "copies", Kind: "number", Text: "2"},
			{Name: m("to"), Kind: "text", Text: m("li@customer\u202e.example")},
		},
		Asked: m("19 Nov 14:20 UTC"), Left: m("8 min left"),
	}
}

// sampleAgainApproval is a call that needs a fresh sign-in, and sampleDecided one that is over.
func sampleAgainApproval(m func(string) string) Approval {
	a := sampleApproval(m)
	a.Arguments, a.NoWords, a.SignAgain, a.Notice = nil, true, true, m("Sign in again to allow this call: it can destroy something.")
	return a
}

func sampleDecided(m func(string) string) Approval {
	a := sampleApproval(m)
	a.Arguments, a.Left, a.Outcome, a.Tone = nil, "", m("You allowed this call, and it has been made."), ToneOK
	return a
}

// sampleWaiting is the agents page while calls wait.
func sampleWaiting(m func(string) string) Agents {
	a := sampleAgents(m)
	a.Waiting = []Waiting{
		{Href: "/approvals/apv_1", Client: m("claude.ai"), Title: m("Email a customer"), Tool: m("email_customer"), Resource: m("Tickets"), Asked: m("14:20"), Until: m("14:30:00 UTC")},
		{Href: "/approvals/apv_2", Client: m("claude.ai"), Title: m("Delete a ticket"), Tool: m("delete_ticket"), Resource: m("Tickets"), Asked: m("14:21"), Until: m("14:31:00 UTC")},
	}
	return a
}
