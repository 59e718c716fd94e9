package web

import "github.com/a-h/templ"

// The sample world that golden files and pictures show. Each function is given mutate, which is
// applied to every text that comes from outside, so that the same page can be rendered with
// plain and with hostile text.
func samples(mutate func(string) string) map[string]templ.Component {
	m := mutate
	return map[string]templ.Component{
		"signin":         SignInPage(sampleSignIn(m, "")),
		"signin-refused": SignInPage(sampleSignIn(m, m("The e-mail or the password is not right. Check both and try again."))),
		"consent":        ConsentPage(sampleConsent(m)),
		"consent-narrow": ConsentPage(sampleNarrowConsent(m)),
		"consent-none":   ConsentPage(sampleEmptyConsent(m)),
		"message":        MessagePage(sampleMessage(m)),
		"agents":         AgentsPage(sampleAgents(m)),
		"agents-empty":   AgentsPage(Agents{Page: samplePage(m)}),
	}
}

func asIs(s string) string { return s }

func samplePage(m func(string) string) Page {
	return Page{Operator: m("Acme ID"), Email: m("mara@acme.example"), CSRF: m("csrf-token"), SignOut: "/logout"}
}

func sampleSignIn(m func(string) string, refused string) SignIn {
	p := samplePage(m)
	p.Email, p.SignOut = "", ""
	return SignIn{
		Page: p, Action: "/signin", Hidden: []Field{{"return", m("/authorize?request_uri=x")}},
		Email: m("mara@acme.example"), Error: refused, ClientHost: m("claude.ai"),
	}
}

func sampleConsent(m func(string) string) Consent {
	reads := Chip{Text: m("Reads only"), Tone: ToneOK, Icon: "eye"}
	changes := Chip{Text: m("Changes data"), Tone: ToneWarn, Icon: "pencil"}
	only := Chip{Text: m("Only project: WEB"), Tone: ToneInfo, Icon: "limit"}
	return Consent{
		Page: samplePage(m), Action: "/authorize", Hidden: []Field{{"request", m("req_1")}},
		Client: ClientCard{
			Host: m("claude.ai"), Name: m("Claude Code"), Initial: m("C"),
			Grade: m("Domain checked, this program is not"), GradeTone: ToneWarn,
			RedirectHost: m("http://127.0.0.1:53121"), RedirectNote: m("A program on this computer"), RedirectTone: ToneWarn,
			KeyBound: true, Loopback: true,
		},
		Task: TaskCard{Purpose: m("Triage this week’s open bugs in project WEB"), Resource: m("Tickets"), ResourceURI: m("https://tickets.acme.example/mcp")},
		Groups: []ToolGroup{
			{Title: m("Look at things"), Tools: []ToolRow{
				{
					Name: m("search_tickets"), Title: m("Search tickets"), Description: m("Finds tickets by text, status or owner."),
					Chips: []Chip{reads, only, {Text: m("At most 50 results a call"), Tone: ToneInfo, Icon: "limit"}}, Ticked: true,
				},
				{
					Name: m("get_ticket"), Title: m("Read a ticket"), Description: m("Reads the text, comments and history of one ticket."),
					Chips: []Chip{reads, only}, Ticked: true,
				},
			}},
			{Title: m("Change things"), Tools: []ToolRow{
				{
					Name: m("add_comment"), Title: m("Comment on a ticket"), Description: m("Adds a comment in your name."),
					Chips: []Chip{changes, {Text: m("At most 20 calls"), Tone: ToneInfo, Icon: "count"}}, Ticked: true,
				},
				{
					Name: m("email_customer"), Title: m("Email a customer"), Description: m("Sends mail to people outside Acme. It cannot be unsent."),
					Chips: []Chip{{Text: m("Leaves Acme"), Tone: ToneWarn, Icon: "arrow"}, changes}, Note: m("New since last time"),
				},
			}},
			{Title: m("Delete things"), Tools: []ToolRow{
				{
					Name: m("delete_ticket"), Title: m("Delete a ticket"), Description: m("Removes a ticket for good. Off unless you turn it on."),
					Chips: []Chip{{Text: m("Deletes data"), Tone: ToneBad, Icon: "cross"}},
				},
			}},
		},
		LeftOut: []LeftOut{{m("export_all"), m("your role on this server does not include it")}},
		Durations: []Duration{
			{Seconds: 900, Text: m("15 min")},
			{Seconds: 1800, Text: m("30 min"), Checked: true},
			{Seconds: 7200, Text: m("2 h")},
			{Seconds: 28800, Text: m("8 h"), Disabled: true, Note: m("(not allowed by Acme)")},
		},
		AgentsURL: "/agents", History: m("You gave claude.ai access 4 times before; last 19 Nov."),
		CanRemember: true,
		Details:     m(`[{"type":"mcp_task","purpose":"Triage this week’s open bugs in project WEB"}]`),
	}
}

// sampleNarrowConsent is what a client that an admin registered sees the user asked, when it has no
// key, a tool has changed and another is not allowed for it.
func sampleNarrowConsent(m func(string) string) Consent {
	c := sampleConsent(m)
	c.Client = ClientCard{
		Title: m("Night Triage"), Initial: m("N"), Grade: m("Registered by your admin"), GradeTone: ToneOK,
		GradeNote: m("since 3 March"), RedirectHost: m("https://agents.acme.example"),
	}
	c.Task.Purpose, c.History, c.Details, c.AgentsURL = "", "", "", ""
	c.CanRemember, c.LeftOut = false, nil
	c.Notice = m("“Read a ticket” has changed since you last allowed it. Look at it again.")
	c.Counts = m("2 tools asked for")
	c.Groups = c.Groups[:1]
	c.Groups[0].Tools[1].Disabled = true
	c.Groups[0].Tools[1].Note = m("Waits for your admin, who must approve the change first")
	c.Durations = c.Durations[:1]
	return c
}

// sampleEmptyConsent offers nothing, because the user's roles reach nothing that was asked for.
func sampleEmptyConsent(m func(string) string) Consent {
	c := sampleConsent(m)
	c.Groups, c.Durations, c.CanRemember, c.History, c.Details = nil, nil, false, "", ""
	return c
}

func sampleMessage(m func(string) string) Message {
	return Message{
		Page: samplePage(m), Tone: ToneOK, Title: m("You can close this window"),
		Text:   m("The agent has what you allowed: 3 tools in Tickets, for 30 min at most."),
		Detail: m("task tsk_5bq3k2v7yh6d4w2m5x7a3c6e4i"),
		Links:  []Link{{m("See it on your agents page"), "/agents"}},
	}
}

func sampleAgents(m func(string) string) Agents {
	return Agents{
		Page: samplePage(m), Notice: m("“Book three 1:1s” is ended. Calendar refused its token 0.2 s later."),
		Running: []TaskRow{
			{
				ID: m("tsk_1"), Client: m("claude.ai"), Name: m("Claude Code"), Resource: m("Tickets"), Purpose: m("Triage this week’s open bugs in project WEB"),
				State: m("Running"), StateTone: ToneOK, Started: m("today 14:02"), Ends: m("in 12 min"), Calls: 14, Blocked: 1, CanEnd: true, CanSuspend: true,
			},
			{
				ID: m("tsk_2"), Client: m("chatgpt.com"), Name: m("ChatGPT"), Resource: m("Calendar"), Purpose: m("Find a slot for the design review"),
				State: m("Paused by you"), StateTone: ToneWarn, Started: m("today 13:40"), Ends: m("in 1 h 20 min"), Calls: 3, CanEnd: true, CanResume: true,
			},
		},
		Finished: []TaskRow{
			{Client: m("chatgpt.com"), Resource: m("Calendar"), Purpose: m("Book three 1:1s"), Ends: m("today 14:11"), HowEnded: m("Ended by you"), StateTone: ToneInfo, Calls: 9, Blocked: 1},
			{Client: m("claude.ai"), Resource: m("Docs"), Purpose: m("Find the on-call runbook"), Ends: m("today 11:20"), HowEnded: m("Task finished"), StateTone: ToneOK, Calls: 6},
			{Client: m("agent.example"), Resource: m("Tickets"), Ends: m("19 Nov"), HowEnded: m("Ended by an admin"), StateTone: ToneBad, Calls: 2},
		},
	}
}
