package web

// accountWords is what the pages of signing in and of the account say.
type accountWords struct {
	WithPasskey, WithProvider, OrPassword                    string
	CodeTitle, CodeLead, Code, CodeNote, Continue            string
	SetUpTitle, SetUpLead, Name, NewPassword, PasswordNote   string
	SetUpDone                                                string
	Account, YourAccount, Stale, SignInAgain                 string
	Passkeys, PasskeysNote, NoPasskeys, AddPasskey           string
	PasskeyName, PasskeyNeedsScript, Added, Used, Never      string
	Remove, RemoveOf                                         string
	Codes, CodesOn, CodesOff, CodesSetUp, CodesRemove        string
	RecoveryLeft, NewRecovery                                string
	PasswordTitle, PasswordNone, CurrentPassword, ChangeIt   string
	Sessions, SessionsNote, Here, EndSession, EndSessionOf   string
	EndSessions, StopAll, StopAllNote                        string
	Push, PushNote, PushOn, PushTurnOn, PushTurnOff          string
	PushNeedsScript                                          string
	Providers, ProvidersNote, LinkTo                         string
	Export, ExportNote, ExportIt                             string
	ScanTitle, ScanLead, ScanType, ScanAlt, ScanCode, ScanOn string
	RecoveryTitle, RecoveryLead, RecoveryDone                string
}

var accountEnglish = accountWords{
	WithPasskey:  "Sign in with a passkey",
	WithProvider: "Sign in with {0}",
	OrPassword:   "or with your password",
	CodeTitle:    "Enter your code",
	CodeLead:     "Your password was right. Enter the code that your authenticator app shows now.",
	Code:         "Code",
	CodeNote:     "Without the app, use one of your recovery codes; each works once.",
	Continue:     "Continue",

	SetUpTitle:   "Set up this server",
	SetUpLead:    "There is no user yet. Whoever fills this in becomes the first admin.",
	Name:         "Name",
	NewPassword:  "New password",
	PasswordNote: "At least 8 characters; a few words are better than one. You can add a passkey afterwards.",
	SetUpDone:    "Make me the admin",

	Account:            "Account",
	YourAccount:        "Your account",
	Stale:              "To change how you sign in, sign in again first: this browser did so some time ago.",
	SignInAgain:        "Sign in again",
	Passkeys:           "Passkeys",
	PasskeysNote:       "A passkey stays on your device or security key and works at this address alone: there is nothing that you could be tricked into telling.",
	NoPasskeys:         "You have no passkey yet.",
	AddPasskey:         "Add a passkey",
	PasskeyName:        "Name of this device",
	PasskeyNeedsScript: "Adding a passkey needs a script, which this browser does not run.",
	Added:              "Added",
	Used:               "Last used",
	Never:              "never",
	Remove:             "Remove",
	RemoveOf:           "the passkey {0}",
	Codes:              "One-time codes",
	CodesOn:            "After your password, you are asked for a code of your authenticator app.",
	CodesOff:           "After your password, nothing more is asked. A code of an authenticator app helps when somebody learns your password.",
	CodesSetUp:         "Set up one-time codes",
	CodesRemove:        "Turn one-time codes off",
	RecoveryLeft:       "Recovery codes left: {0}",
	NewRecovery:        "Make new recovery codes",
	PasswordTitle:      "Password",
	PasswordNone:       "You have no password here. You can set one.",
	CurrentPassword:    "Current password",
	ChangeIt:           "Change the password",
	Sessions:           "Where you are signed in",
	SessionsNote:       "Signing out a browser does not stop agents; they end on their own page, or with the last button here.",
	Here:               "this browser",
	EndSession:         "Sign out",
	EndSessionOf:       "{0}, since {1}",
	EndSessions:        "Sign out all other browsers",
	StopAll:            "Sign out everywhere and stop all agents",
	StopAllNote:        "For when something is wrong: this browser too, and every task ends now.",
	Push:               "Messages",
	PushNote:           "This browser can tell you when an agent waits for your answer, and when one works for you for the first time. The messages name nobody and nothing, and end when you sign out.",
	PushOn:             "This browser is told.",
	PushTurnOn:         "Tell me in this browser when an agent waits",
	PushTurnOff:        "Tell me nothing here any more",
	PushNeedsScript:    "These messages need a script, which this browser does not run.",
	Providers:          "Other ways in",
	ProvidersNote:      "Link an account that you have elsewhere, to sign in with it from now on.",
	LinkTo:             "Link {0}",
	Export:             "Your data",
	ExportNote:         "All that this server keeps about you: your tasks, what agents did in your name, and how you sign in.",
	ExportIt:           "Download as JSON",

	ScanTitle:     "Set up one-time codes",
	ScanLead:      "Scan this square with your authenticator app, then enter the code that it shows.",
	ScanType:      "Or type this secret into the app:",
	ScanAlt:       "QR code of the secret below",
	ScanCode:      "Code that the app shows now",
	ScanOn:        "Turn one-time codes on",
	RecoveryTitle: "Your recovery codes",
	RecoveryLead:  "Keep them where you find them without your device. Each works once. They are shown now and never again.",
	RecoveryDone:  "I have kept them",
}
