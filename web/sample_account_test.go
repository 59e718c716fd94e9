package web

import "github.com/a-h/templ"

// accountSamples are the pages of signing in and of the account.
func accountSamples(m func(string) string) map[string]templ.Component {
	nobody := samplePage(m)
	nobody.Email, nobody.SignOut = "", ""
	ways := sampleSignIn(m, "")
	ways.Passkey = Ceremony{Action: "/signin/passkey", Options: m(`{"challenge":"abc"}`), State: m("sealed")}
	ways.Providers = []Link{{Text: m("Acme Login"), Href: "/signin/with/acme?return_to=%2Fagents"}}
	ways.Notice = m("Sign in again to go on.")
	page := samplePage(m)
	page.Account = "/account"
	account := Account{
		Page: page, Action: "/account", Notice: m("The passkey was added."), NoticeTone: ToneOK,
		Passkeys: []PasskeyRow{{ID: m("a"), Name: m("Laptop"), Added: "1 Nov 10:00 UTC"}, {ID: m("b"), Name: m("Phone"), Added: "2 Nov 10:00 UTC", Used: "20 Nov 08:12 UTC"}},
		Passkey:  Ceremony{Action: "/account", Options: m(`{"challenge":"abc"}`), State: m("sealed")},
		HasCodes: true, Recovery: 9, CodeURL: "/account/codes", Password: true,
		Sessions: []SessionRow{
			{ID: m("1"), Browser: m("Firefox on Linux"), How: m("with a passkey"), Since: "22 Nov 09:00 UTC", Here: true},
			{ID: m("2"), Browser: m("Safari on iPhone"), How: m("with the password"), Since: "21 Nov 19:30 UTC"},
		},
		Identities: []Link{{Text: m("Acme Login"), Href: "/signin/with/acme?link=x"}}, ExportURL: "/account/export",
		Push: Push{Key: m("key"), Worker: "/worker.js", Action: "/account", For: m("mark")},
	}
	stale := account
	stale.Stale, stale.Passkey, stale.Notice, stale.HasCodes, stale.Passkeys, stale.Identities = "/signin?return_to=%2Faccount", Ceremony{}, "", false, nil, nil
	stale.Push.On = true
	return map[string]templ.Component{
		"signin-ways":    SignInPage(ways),
		"signin-code":    SignInCodePage(SignInCode{Page: nobody, Action: "/signin/code", Hidden: []Field{{FieldSealed, m("sealed")}}, Error: m("This code is not right.")}),
		"setup":          SetUpPage(SetUp{Page: nobody, Action: "/setup", Hidden: []Field{{"code", m("abc")}}, Email: m("root@acme.example"), Name: m("Root")}),
		"account":        AccountPage(account),
		"account-stale":  AccountPage(stale),
		"account-codes":  SetUpCodesPage(SetUpCodes{Page: page, Action: "/account/codes", Square: "M0 0h1v1h-1z", Side: 21, Secret: "ABCD EFGH", Error: m("This code is not right.")}),
		"account-backup": RecoveryPage(Recovery{Page: page, Codes: []string{"abcd-efgh-ijkl-mnop", "qrst-uvwx-yzab-cdef"}, Back: "/account"}),
	}
}
