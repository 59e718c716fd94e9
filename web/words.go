package web

import (
	"context"
	"strconv"
	"strings"
)

// words is the catalogue: every text that the pages say on their own, so that another language is
// another value of this type. {0}, {1}… stand for what the page puts in.
type words struct {
	Lang string

	DevMode, SignedInAs, NotYou, SkipToContent, TitleOf string

	SignIn, SignInTo, Email, Password, SignInFailed string

	ConsentTitle, ConsentTab                             string
	WhoIsAsking, PublishedBy, RegisteredAs, AddedByAdmin string
	CallsItself, ChosenByApp, SendsYouTo, TokenSafety    string
	ByItself                                             string
	KeyBound, KeyBoundNote, NotKeyBound, NotKeyBoundNote string
	DidYouStart, LoopbackRisk, OtherwiseChoose           string
	NoAnswer                                             string

	WhatFor, Task, AgentsWords, NoPurpose, Server, EndsAfter string
	WhatItMayDo, Untick, NoTools                             string
	LeftOut, FewerTools, TechnicalDetails                    string
	Limit, LimitNote                                         string

	AllowTicked, AllowCount, AllowFor, AllowNothing, DontAllow string
	Remember, RememberNote                                     string
	Logged, SeeOrStop                                          string

	YourAgents, StopEverything, Reload, NoneRunning, NoneRunningNote string
	OneRunning, ManyRunning, SomeRunning, OtherRunning, ToServer     string
	UpdatesItself, UpdatesPaused, UpdatesLost                        string
	PauseUpdates, ResumeUpdates                                      string
	NewestCalls, AllCalls, OneCall, Allowed, BlockedCall, TimeUsed   string
	AllowTool                                                        string
	CallsOf, NoCalls, BackToAgents, NewestPage, OlderPage            string
	Started, Ends, Calls, Blocked                                    string
	MissingCalls, MissingNote                                        string
	EndNow, Suspend, Resume, OfTask                                  string
	Finished, NoneFinished, When, Agent, HowItEnded, CallsBlocked    string

	WhoToAsk string
	Quote    string

	Console  consoleWords
	Account  accountWords
	Approve  approveWords
	Continue continueWords
	Expiry   expiryWords
	Narrow   narrowWords

	Activate activateWords
}

var english = words{
	Lang: "en",

	DevMode:       "Development mode. This server listens on this computer only and must not be used for real.",
	SignedInAs:    "Signed in as",
	NotYou:        "Not you? Sign out",
	SkipToContent: "Skip to the content",
	TitleOf:       "{0} – {1}",

	SignIn:       "Sign in",
	SignInTo:     "to answer a request from {0}",
	Email:        "E-mail",
	Password:     "Password",
	SignInFailed: "That did not work.",

	ConsentTitle:    "Let {0} work in your {1}?",
	ConsentTab:      "Allow an agent to use {0}?",
	WhoIsAsking:     "Who is asking",
	PublishedBy:     "Published by",
	RegisteredAs:    "Registered as",
	ByItself:        "Registered by itself",
	AddedByAdmin:    "added by your admin",
	CallsItself:     "Calls itself",
	ChosenByApp:     "a name that the app chose",
	SendsYouTo:      "Sends you to",
	TokenSafety:     "Token safety",
	KeyBound:        "Bound to this agent’s key",
	KeyBoundNote:    "a stolen copy does not work",
	NotKeyBound:     "Not key-bound",
	NotKeyBoundNote: "whoever copies the token can use it",
	DidYouStart:     "Did you just start this yourself?",
	NoAnswer:        "Your answer takes this browser to that program. If the browser then cannot connect, the program has stopped or runs on another computer, and nothing works in your name. Start again from the program; on another computer, let it show you a code to enter here (device authorization). Never copy an address or a code from this browser into a program.",
	LoopbackRisk:    "Any program on this computer could be waiting at that address.",
	OtherwiseChoose: "If you did not start it, or somebody sent you a link, choose “Don’t allow”.",

	WhatFor:          "What for, where, how long",
	Task:             "Task",
	AgentsWords:      "in the agent’s words",
	NoPurpose:        "The agent did not say what for.",
	Server:           "Server",
	EndsAfter:        "Ends when the task is finished, and at the latest after",
	WhatItMayDo:      "What it may do",
	Untick:           "untick anything you do not want",
	NoTools:          "Nothing can be allowed here: your own rights cover none of what was asked for.",
	LeftOut:          "Asked for, but not offered",
	FewerTools:       "The task may work with fewer tools; the agent is told what you chose.",
	TechnicalDetails: "Technical details",
	Limit:            "Limit…",
	LimitNote:        "Leave empty what you do not want to limit. A call must then keep to what you write here, and name the argument.",

	AllowTicked:  "Allow the ticked tools",
	AllowCount:   "Allow {0} of {1} tools",
	AllowFor:     "for {0}",
	AllowNothing: "Allow nothing – cancel",
	DontAllow:    "Don’t allow",
	Remember:     "Remember this for {0} days, for read-only tools here.",
	RememberNote: "Nothing that changes or deletes data is ever allowed by it.",
	Logged:       "Each call is logged.",
	SeeOrStop:    "See it, or stop it at once, on your agents page",

	YourAgents:      "Your agents",
	StopEverything:  "Stop everything now",
	Reload:          "Reload",
	NoneRunning:     "No agent is working for you right now.",
	NoneRunningNote: "When you allow one, it appears here, and you can end it with one click.",
	OneRunning:      "1 task is running.",
	ManyRunning:     "{0} tasks are running.",
	SomeRunning:     "{0} tasks are running, {1} of them on this page. “Stop everything now” stops them all.",
	OtherRunning:    "Other running tasks",
	ToServer:        "in",
	UpdatesItself:   "This page updates by itself.",
	UpdatesPaused:   "Updates are paused.",
	UpdatesLost:     "Updates have stopped for now; reload the page to see what is new.",
	PauseUpdates:    "Pause updates",
	ResumeUpdates:   "Resume updates",
	NewestCalls:     "Newest calls",
	AllCalls:        "All {0} calls",
	OneCall:         "See the call",
	Allowed:         "Allowed",
	BlockedCall:     "Blocked",
	AllowTool:       "Allow this tool…",
	TimeUsed:        "Time used",
	CallsOf:         "All calls of this task",
	NoCalls:         "No call was made yet.",
	BackToAgents:    "Back to your agents",
	NewestPage:      "Newest calls",
	OlderPage:       "Older calls",
	Started:         "Started",
	Ends:            "Ends",
	Calls:           "Calls",
	Blocked:         "{0} blocked",
	MissingCalls:    "{0} missing",
	MissingNote:     "Records about calls of this task that could not be kept: {0}. An administrator can see which.",
	EndNow:          "End now",
	Suspend:         "Pause",
	Resume:          "Resume",
	OfTask:          "{0} in {1}",
	Finished:        "Finished",
	NoneFinished:    "Nothing has finished yet.",
	When:            "When",
	Agent:           "Agent and server",
	HowItEnded:      "How it ended",
	CallsBlocked:    "{0} ({1} blocked)",

	WhoToAsk: "If you ask for help, pass this on",
	Quote:    "“{0}”",

	Console:  consoleEnglish,
	Account:  accountEnglish,
	Approve:  approveEnglish,
	Continue: continueEnglish,
	Expiry:   expiryEnglish,
	Narrow:   narrowEnglish,
	Activate: activateEnglish,
}

// part is a piece of a sentence: text of the catalogue, or the argument with number Arg.
type part struct {
	Text string
	Arg  int // -1: text
}

// parts cuts a sentence of the catalogue at its {0}…{9}.
func parts(sentence string) []part {
	var ps []part
	for {
		i := strings.IndexByte(sentence, '{')
		if i < 0 || i+2 >= len(sentence) || sentence[i+2] != '}' || sentence[i+1] < '0' || sentence[i+1] > '9' {
			return append(ps, part{sentence, -1})
		}
		ps = append(ps, part{sentence[:i], -1}, part{"", int(sentence[i+1] - '0')})
		sentence = sentence[i+3:]
	}
}

// fill is the sentence with its arguments, where no markup can stand (titles, accessible names).
func fill(sentence string, args ...string) string {
	var b strings.Builder
	for _, p := range parts(sentence) {
		if p.Arg >= 0 && p.Arg < len(args) {
			b.WriteString(args[p.Arg])
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// allCallsText is the link to all calls.
func allCallsText(ctx context.Context, n int) string {
	switch n {
	case 0: // none is recorded
		return say(ctx).CallsOf
	case 1:
		return say(ctx).OneCall
	}
	return fill(say(ctx).AllCalls, strconv.Itoa(n))
}

// runningText counts the running tasks: n on this page, and how many in all where that is not all.
func runningText(ctx context.Context, n int, inAll string) string {
	if inAll != "" {
		return fill(say(ctx).SomeRunning, exact(inAll), strconv.Itoa(n))
	}
	if n == 1 {
		return say(ctx).OneRunning
	}
	return fill(say(ctx).ManyRunning, strconv.Itoa(n))
}
