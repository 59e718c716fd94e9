package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSET(t *testing.T) {
	k := newKey(t)
	keys := NewKeySet(k)
	set := SET{
		Issuer: testIssuer, Audience: testResource, ID: "set_1", IssuedAt: testNow,
		Events: map[string]json.RawMessage{"https://remit-auth.github.io/events/task.ended": json.RawMessage(`{"task":"tsk_1"}`)},
	}
	raw := must[string](t)(k.SignSET(set))
	got, err := keys.VerifySET(raw, testIssuer, testResource)
	if err != nil {
		t.Fatal(err)
	}
	set.KeyID = k.ID()
	if d := cmp.Diff(set, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	payload, _, err := keys.Verify(raw, TypeSET)
	if err != nil || !strings.Contains(string(payload), `"aud":["https://tickets.example/mcp"]`) {
		t.Errorf("the payload is %s, %v", payload, err)
	}
	header := fmt.Sprintf(`{"alg":"ES256","typ":"secevent+jwt","kid":%q}`, k.ID())
	claim := func(name, value string) string { return mint(t, k.key, header, edit(string(payload), name, value)) }
	for name, tt := range map[string]struct {
		raw  string
		want error
	}{
		"another issuer":    {claim("iss", `"https://evil.example"`), ErrWrongIssuer},
		"another audience":  {claim("aud", `["https://r2.example/mcp"]`), ErrWrongAudience},
		"two audiences":     {claim("aud", `["https://tickets.example/mcp","https://r2.example/mcp"]`), ErrWrongAudience},
		"no audience":       {claim("aud", ""), ErrWrongAudience},
		"no jti":            {claim("jti", ""), ErrMalformed},
		"no iat":            {claim("iat", ""), ErrMalformed},
		"no events":         {claim("events", ""), ErrMalformed},
		"empty events":      {claim("events", "{}"), ErrMalformed},
		"events a list":     {claim("events", "[]"), ErrMalformed},
		"an event twice":    {claim("events", `{"a":1,"a":2}`), ErrMalformed},
		"another typ":       {mint(t, k.key, edit(header, "typ", `"JWT"`), string(payload)), ErrWrongType},
		"an access token":   {must[string](t)(k.SignAccessToken(testClaims(t))), ErrWrongType},
		"signed by another": {mint(t, newKey(t).key, header, string(payload)), ErrSignature},
		"garbage":           {"x", ErrMalformed},
	} {
		if s, err := keys.VerifySET(tt.raw, testIssuer, testResource); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for _, want := range [][2]string{{"", testResource}, {testIssuer, ""}} {
		if _, err := keys.VerifySET(raw, want[0], want[1]); err == nil {
			t.Errorf("a verifier that wants %q accepts", want)
		}
	}
	set.Events = nil
	if _, err := k.SignSET(set); !errors.Is(err, ErrMalformed) {
		t.Errorf("SignSET without events: %v", err)
	}
}

func TestCheckpoint(t *testing.T) {
	k := newKey(t)
	keys := NewKeySet(k)
	c := CheckpointClaims{Issuer: testIssuer, Size: 42, Head: strings.Repeat("ab", 32), At: testNow.Add(123456 * time.Microsecond)}
	raw := must[string](t)(k.SignCheckpoint(c))
	c.KeyID = k.ID()
	got, err := keys.VerifyCheckpoint(raw)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	payload, _, _ := keys.Verify(raw, TypeCheckpoint)
	header := fmt.Sprintf(`{"alg":"ES256","typ":"remit-checkpoint+jwt","kid":%q}`, k.ID())
	for name, tt := range map[string]struct{ claim, value string }{
		"no issuer": {"iss", ""}, "no head": {"head", ""}, "a head too short": {"head", `"abcd"`}, "a head that is no hex": {"head", `"` + strings.Repeat("zz", 32) + `"`},
		"a size below zero": {"size", "-1"}, "a size with a fraction": {"size", "1.5"}, "no time": {"at", ""}, "no size": {"size", ""},
	} {
		raw := mint(t, k.key, header, edit(string(payload), tt.claim, tt.value))
		if c, err := keys.VerifyCheckpoint(raw); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := keys.VerifyCheckpoint(mint(t, k.key, edit(header, "typ", `"secevent+jwt"`), string(payload))); !errors.Is(err, ErrWrongType) {
		t.Errorf("another typ: %v", err)
	}
	if _, err := NewKeySet(newKey(t)).VerifyCheckpoint(raw); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	for name, bad := range map[string]CheckpointClaims{
		"no issuer": {Size: 1, Head: c.Head, At: c.At}, "no head": {Issuer: testIssuer, At: c.At}, "no time": {Issuer: testIssuer, Head: c.Head}, "below zero": {Issuer: testIssuer, Size: -1, Head: c.Head, At: c.At},
	} {
		if _, err := k.SignCheckpoint(bad); err == nil {
			t.Errorf("%s is signed", name)
		}
	}
}

// TestSign: what the hot path does not know is not signed either.
func TestSign(t *testing.T) {
	k := newKey(t)
	raw := must[string](t)(k.Sign("x+jwt", map[string]int{"a": 1}))
	payload, kid, err := NewKeySet(k).Verify(raw, "x+jwt")
	if err != nil || string(payload) != `{"a":1}` || kid != k.ID() {
		t.Errorf("Verify = %s, %s, %v", payload, kid, err)
	}
	if _, err := k.Sign("x+jwt", func() {}); err == nil {
		t.Error("a function is signed")
	}
}
