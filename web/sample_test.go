package web

import (
	"maps"

	"github.com/a-h/templ"
)

// The sample world that golden files and pictures show. Each function is given mutate, which is
// applied to every text that comes from outside, so that the same page can be rendered with
// plain and with hostile text.
func samples(mutate func(string) string) map[string]templ.Component {
	m := mutate
	all := map[string]templ.Component{
		"signin":            SignInPage(sampleSignIn(m, "")),
		"signin-refused":    SignInPage(sampleSignIn(m, m("The e-mail or the password is not right. Check both and try again."))),
		"consent":           ConsentPage(sampleConsent(m)),
		"continue":          ContinuePage(sampleContinue(m)),
		"narrow":            NarrowPage(sampleNarrow(m)),
		"agents-remembers":  AgentsPage(sampleRemembered(m)),
		"consent-narrow":    ConsentPage(sampleNarrowConsent(m)),
		"consent-none":      ConsentPage(sampleEmptyConsent(m)),
		"activate":          ActivatePage(Activate{Page: samplePage(m), Action: "/activate", UserCode: m("BCDF-GHJK"), Square: "M0 0h1v1h-1z", Side: 21}),
		"activate-wrong":    ActivatePage(Activate{Page: samplePage(m), Action: "/activate", UserCode: m("BCDF"), Error: m("This code is not right.")}),
		"message":           MessagePage(sampleMessage(m)),
		"stepup":            ConsentPage(sampleStepUp(m)),
		"stepup-own":        ConsentPage(sampleOwnStepUp(m)),
		"approval":          ApprovalPage(sampleApproval(m)),
		"approval-again":    ApprovalPage(sampleAgainApproval(m)),
		"approval-decided":  ApprovalPage(sampleDecided(m)),
		"agents-waiting":    AgentsPage(sampleWaiting(m)),
		"agents":            AgentsPage(sampleAgents(m)),
		"agents-empty":      AgentsPage(Agents{Page: samplePage(m), Live: Live{Source: "/agents/live"}}),
		"calls":             CallsPage(sampleCalls(m)),
		"console":           ConsoleTasksPage(sampleConsoleTasks(m)),
		"console-none":      ConsoleTasksPage(sampleNoConsoleTasks(m)),
		"console-task":      ConsoleItemPage(sampleConsoleTask(m)),
		"console-unread":    ConsoleItemPage(sampleConsoleUnread(m)),
		"console-ledger":    ConsoleItemPage(sampleConsoleLedger(m)),
		"console-review":    ConsoleItemPage(sampleConsoleReview(m)),
		"console-findings":  ConsoleFindingsPage(ConsoleFindings{Desk: sampleDesk(m, 1), Findings: sampleFindings(m), Newest: "/admin/findings", Older: "/admin/findings?before=7"}),
		"console-dismissed": ConsoleFindingsPage(sampleDismissed(m)),
		"console-key":       ConsoleItemPage(sampleConsoleKey(m)),
		"console-quiet":     ConsoleFindingsPage(ConsoleFindings{Desk: sampleDesk(m, 1)}),
		"console-user":      ConsoleItemPage(sampleConsoleUser(m)),
		"console-block":     ConsoleItemPage(sampleConsoleBlock(m)),
		"console-reconsent": ConsoleItemPage(sampleConsoleReconsent(m)),
		"console-users":     ConsoleListPage(sampleConsoleUsers(m)),
		"console-resource":  ConsoleItemPage(sampleConsoleResource(m)),
		"calls-none":        CallsPage(Calls{Page: samplePage(m), Action: "/agents", Task: sampleAgents(m).Running[1]}),
	}
	maps.Copy(all, accountSamples(m))
	return all
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
		Task:   TaskCard{Purpose: m("Triage this week’s open bugs in project WEB"), Resource: m("Tickets"), ResourceURI: m("https://tickets.acme.example/mcp")},
		Expiry: Expiry{Until: m("09:40:00 UTC"), Seconds: 600, More: true},
		Groups: []ToolGroup{
			{Title: m("Look at things"), Tools: []ToolRow{
				{
					Name: m("search_tickets"), Title: m("Search tickets"), Description: m("Finds tickets by text, status or owner."),
					Chips: []Chip{reads, only, {Text: m("At most 50 results a call"), Tone: ToneInfo, Icon: "limit"}}, Ticked: true,
					Limits: []Limit{
						{Argument: m("limit"), Fields: []LimitField{{"limit.search_tickets.limit.max", m("At most"), ""}}},
						{Argument: m("project"), Fields: []LimitField{{"limit.search_tickets.project.only", m("Only these, one a line"), m("WEB")}, {"limit.search_tickets.project.prefix", m("Begins with"), ""}}},
					},
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
		Remember: 7,
		Details:  m(`[{"type":"mcp_task","purpose":"Triage this week’s open bugs in project WEB"}]`),
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
	c.Remember, c.LeftOut = 0, nil
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
	c.Groups, c.Durations, c.Remember, c.History, c.Details = nil, nil, 0, "", ""
	c.Dev = true
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
		Page: samplePage(m), Live: Live{Source: "/agents/live", Again: 60},
		Notice: m("“Book three 1:1s” is ended: dead everywhere in 0.3 s."),
		InAll:  m("12"), Pages: Pages{Newest: "/agents", Older: "/agents?before=tsk_2"}, FinishedPages: Pages{Older: "/agents?finished=tsk_4"},
		Running: []TaskRow{
			{
				ID: "tsk_1", Client: m("claude.ai"), Name: m("Claude Code"), Resource: m("Tickets"), Purpose: m("Triage this week’s open bugs in project WEB"),
				State: m("Running"), StateTone: ToneOK, Started: m("22 Nov 14:02 UTC"), Ends: m("22 Nov 14:32 UTC"), Calls: 14, Blocked: 1,
				CallsURL: "/agents/tsk_1", Newest: sampleCallRows(m), Left: m("12 min of 30 min left; ends by itself when finished"),
				SecondsUsed: 1080, SecondsInAll: 1800, CanEnd: true, CanSuspend: true, ChangeURL: "/agents/tsk_1/tools",
			},
			{
				ID: "tsk_2", Client: m("chatgpt.com"), Name: m("ChatGPT"), Resource: m("Calendar"), Purpose: m("Find a slot for the design review"),
				State: m("Paused by you"), StateTone: ToneWarn, Started: m("22 Nov 13:40 UTC"), Ends: m("22 Nov 15:40 UTC"), CallsURL: "/agents/tsk_2",
				Left: m("1 h 20 min of 2 h left; ends by itself when finished"), SecondsUsed: 2400, SecondsInAll: 7200, CanEnd: true, CanResume: true,
			},
		},
		Finished: []TaskRow{
			{
				ID: "tsk_3", Client: m("chatgpt.com"), Resource: m("Calendar"), Purpose: m("Book three 1:1s"), Ends: m("22 Nov 14:11 UTC"),
				HowEnded: m("Ended by you"), StateTone: ToneInfo, Reached: m("dead everywhere in 0.3 s"), ReachedTone: ToneOK,
				Calls: 9, Blocked: 1, CallsURL: "/agents/tsk_3",
			},
			{
				ID: "tsk_4", Client: m("agent.example"), Resource: m("Tickets"), Ends: m("22 Nov 14:10 UTC"), HowEnded: m("Ended (looking into it)"), StateTone: ToneBad,
				Reached: m("Tickets not reached – its token expires in 48 s"), ReachedTone: ToneWarn, Calls: 2, CallsURL: "/agents/tsk_4",
			},
			{
				ID: "tsk_5", Client: m("claude.ai"), Resource: m("Docs"), Purpose: m("Find the on-call runbook"), Ends: m("22 Nov 11:20 UTC"),
				HowEnded: m("Finished by the agent"), StateTone: ToneOK, Calls: 6,
			},
		},
	}
}

func sampleCallRows(m func(string) string) []CallRow {
	return []CallRow{
		{Tool: m("get_ticket"), Title: m("Read a ticket"), At: "2026-11-22T14:19:52Z", Time: m("14:19:52 UTC")},
		{Tool: m("delete_ticket"), Title: m("Delete a ticket"), At: "2026-11-22T14:19:40Z", Time: m("14:19:40 UTC"), Blocked: true, Reason: m("you did not allow this tool"), MoreURL: "/agents/tsk_1/more?resource=https%3A%2F%2Ftickets.example%2Fmcp&tool=delete_ticket"},
		{Tool: m("search_tickets"), Title: m("Search tickets"), At: "2026-11-22T14:19:02Z", Time: m("14:19:02 UTC")},
		{Tool: m("drop_tables"), At: "2026-11-22T14:18:59Z", Time: m("14:18:59 UTC"), Blocked: true, Reason: m("the server has no such tool")},
	}
}

func sampleCalls(m func(string) string) Calls {
	a := sampleAgents(m)
	a.Running[0].Missing = 2
	return Calls{
		Page: a.Page, Action: "/agents", Live: a.Live, Task: a.Running[0], Calls: sampleCallRows(m),
		Newest: "/agents/tsk_1", Older: "/agents/tsk_1?before=17",
	}
}
