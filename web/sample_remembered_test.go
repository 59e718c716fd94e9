package web

func sampleContinue(m func(string) string) Continue {
	c := sampleConsent(m)
	return Continue{
		Page: c.Page, Action: "/consent", Hidden: c.Hidden, Client: c.Client, Task: c.Task,
		Tools: sampleGoesOn(m), Left: []string{m("email_customer"), m("delete_ticket")},
		For: m("30 min"), Since: m("You chose this on 22 Nov 2026; it goes on until 29 Nov 09:30 UTC."),
		Change: "/authorize?request_uri=x&change=1", AgentsURL: "/agents",
	}
}

func sampleGoesOn(m func(string) string) []LentTool {
	return []LentTool{
		{Name: m("search_tickets"), Title: m("Search tickets"), Chips: []Chip{
			{Text: m("Only project: WEB"), Tone: ToneInfo, Icon: "limit"}, {Text: m("At most 5 calls"), Tone: ToneInfo, Icon: "count"},
		}},
		{Name: m("get_ticket"), Title: m("Read a ticket")},
	}
}

// sampleRemembered is the agents page of somebody who lets two choices go on.
func sampleRemembered(m func(string) string) Agents {
	a := sampleAgents(m)
	a.Running[0].LastUsed, a.Running[0].Offline, a.Running[0].Twins = m("22 Nov 14:19 UTC"), true, m("Registered itself 3 times")
	a.Remembered = []RememberedRow{
		{
			ID: "rem_1", Client: m("claude.ai"), Name: m("Claude Code"), Resource: m("Tickets"), Tools: sampleGoesOn(m),
			For: m("30 min"), Until: m("29 Nov 09:30 UTC"), Used: m("used 4 times, last on 24 Nov 08:12 UTC"),
		},
		{
			ID: "rem_2", Client: m("Nightly Report"), Resource: m("Calendar"), Tools: []LentTool{{Name: m("list_events"), Title: m("List events")}},
			For: m("2 h"), Until: m("1 Dec 14:00 UTC"), Used: m("not used yet"),
		},
	}
	return a
}

func sampleNarrow(m func(string) string) Narrow {
	c := sampleConsent(m)
	groups := c.Groups[:2]
	return Narrow{
		Page: c.Page, Action: "/agents/tsk_1/tools", Hidden: []Field{{"seen", m("gnt_1")}}, Back: "/agents",
		Task: sampleAgents(m).Running[0], Resource: m("Tickets"), URI: m("https://tickets.acme.example/mcp"), Groups: groups,
		Others:    []Link{{m("Calendar"), "/agents/tsk_1/tools?resource=x"}},
		Durations: []Duration{{Seconds: 0, Text: m("as it is: at 22 Nov 10:00 UTC"), Checked: true}, {Seconds: 300, Text: m("5 min")}, {Seconds: 900, Text: m("15 min")}},
	}
}
