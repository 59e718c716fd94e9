package server_test

import (
	"testing"

	"github.com/remit-auth/remit/server"
)

// FuzzParseTrust: an issuer that is taken up names where its keys are and whom it may speak for, and
// no rule of it matches any subject.
func FuzzParseTrust(f *testing.F) {
	for _, text := range []string{
		`{"trusted_issuers":[{"issuer":"https://idp.example","kind":"id-jag","jwks_uri":"https://idp.example/keys","clients":["*"]}]}`,
		`{"trusted_issuers":[{"issuer":"https://k8s.example","kind":"workload","jwks_uri":"https://k8s.example/keys","rules":[{"match":{"sub":"system:serviceaccount:a:*"},"client":"cli_a"}]}]}`,
		`{"trusted_issuers":[{"issuer":"https://k8s.example","kind":"workload","jwks":{"keys":[]},"rules":[{"match":{"sub":"*/*"},"client":"cli_a"}]}]}`,
		`{"trusted_issuers":[{"issuer":"a","issuer":"b"}]}`, `{}`, `[`, `{"trusted_issuers":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := server.ParseTrust(raw)
		if err != nil {
			return
		}
		for _, one := range all {
			switch one.Kind {
			case server.TrustIDJAG:
				if len(one.Clients) == 0 {
					t.Errorf("%+v speaks for nobody", one)
				}
			case server.TrustWorkload:
				for _, r := range one.Rules {
					if s := r.Match["sub"]; s == "" || s == "*" || r.Client == "" {
						t.Errorf("%+v matches any subject, or names no client", r)
					}
				}
			default:
				t.Errorf("%+v is of no kind", one)
			}
			if one.Issuer == "" || (one.JWKSURI == "") == (len(one.JWKS) == 0) {
				t.Errorf("%+v has no name, or no keys or two sets of them", one)
			}
		}
	})
}
