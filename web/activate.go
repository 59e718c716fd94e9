package web

import "context"

// Activate is the page where a person types the code that an agent without a browser shows.
type Activate struct {
	Page
	Action   string
	UserCode string // as typed, or as the address had it
	Error    string
	Square   string // this page's address as a QR code, the path data of an SVG; empty: none
	Side     int    // of the code, in squares
}

// FieldUserCode is the field of the code.
const FieldUserCode = "user_code"

// activateWords are the texts of that page.
type activateWords struct {
	Title, Lead, Code, Go, Words, Warn, Scan, ScanAlt string
}

var activateEnglish = activateWords{
	Title:   "Connect an agent",
	Lead:    "Type the code that your agent shows. The next page says what it asks for; nothing is allowed before you say so there.",
	Code:    "Code",
	Go:      "Go on",
	Words:   "Words on your device",
	Warn:    "Never type a code that somebody sent you: whoever made it gets what you allow.",
	Scan:    "Or go on on another device: scan this.",
	ScanAlt: "QR code of this page's address",
}

// ActivateTitle is the title of what follows on that page.
func ActivateTitle(ctx context.Context) string { return say(ctx).Activate.Title }

// YourAgentsTitle is what the page of a user's agents is called.
func YourAgentsTitle(ctx context.Context) string { return say(ctx).YourAgents }
