package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/storetest"
	"github.com/remit-auth/remit/tokens"
)

// countedWorld is a world whose store counts its statements.
func countedWorld(t *testing.T) (w *world, statements func(func() answer) (answer, int)) {
	t.Helper()
	fault := &storetest.Fault{}
	w = newFaultyWorld(t, fault)
	return w, func(act func() answer) (answer, int) {
		before := fault.Seen()
		got := act()
		return got, fault.Seen() - before
	}
}

// TestCA10WrongSecretsDoTheSame: whatever is wrong with a secret, or with whom it is said to be of, the server
// reads the same from its store and answers the same bytes. What it compares are hashes, in constant time:
// BenchmarkWrongSecret measures it.
func TestCA10WrongSecretsDoTheSame(t *testing.T) {
	w, statements := countedWorld(t)
	secret := tokens.NewSecret("rs_")
	add := func(id string, disabled bool) {
		c := store.Client{ID: id, CreatedAt: w.clock.Now(), SecretHash: store.HashOf(secret), Metadata: store.ClientMetadata{TokenEndpointAuthMethod: oauth.AuthClientSecretPost, GrantTypes: []string{oauth.GrantClientCredentials}}}
		must(t, w.store.AddClient(context.Background(), c))
		if disabled {
			_, err := w.store.DisableClient(context.Background(), id, true, store.NewRecord("client.disabled", nil))
			must(t, err)
		}
	}
	add("cli_secret", false)
	add("cli_disabled", true)
	tries := func(id, secret string) func() answer {
		return func() answer {
			return w.agent(id).send("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}})
		}
	}
	wanted, most := statements(tries("cli_secret", tokens.NewSecret("rs_")))
	want(t, wanted, 401, "invalid_client")
	for name, act := range map[string]func() answer{
		"all but its last letter": tries("cli_secret", secret[:len(secret)-1]+"~"), "its last letter alone": tries("cli_secret", "~"+secret[1:]), "one letter more": tries("cli_secret", secret+"x"), "short": tries("cli_secret", "x"),
		"an unknown client": tries("cli_nobody", secret), "a client without a secret": tries(w.client, secret), "a disabled client": tries("cli_disabled", secret),
	} {
		got, n := statements(act)
		if n != most || !got.like(wanted) {
			t.Errorf("%s: %d statements, %d %s %v\nwant %d statements, %d %s %v", name, n, got.Status, got.Body, got.Header, most, wanted.Status, wanted.Body, wanted.Header)
		}
	}
	if got, n := statements(tries("cli_secret", secret)); got.Status == http.StatusUnauthorized || n < most {
		t.Errorf("the right secret: %d %s, %d statements", got.Status, got.Body, n)
	}
}

// TestRX14BadTokensReadNothing: what a Guard is told of a token that Remit has not signed costs the store no
// statement beside the Guard's own authentication, however often it asks; one that looks like an opaque
// token costs a look for it by its key. So there is nothing that a memory of bad tokens would save.
func TestRX14BadTokensReadNothing(t *testing.T) {
	w, statements := countedWorld(t)
	g := w.guard(ticketsURI)
	good := w.agent(w.client).tokens().text("access_token")
	_, own := statements(func() answer { return g.introspect("") }) // no token: the Guard alone
	opaque, _ := tokens.NewOpaque()
	signed := good[:strings.LastIndexByte(good, '.')]
	for name, tt := range map[string]struct {
		token string
		more  int
	}{
		"nonsense": {"x", 0}, "long": {strings.Repeat("a", 60_000), 0}, "another signature": {signed + "." + strings.Repeat("A", 86), 0}, "a refresh token": {tokens.NewSecret("rr_"), 0}, "opaque": {opaque, 3}, // one read, and what is around it

	} {
		for range 3 {
			got, n := statements(func() answer { return g.introspect(tt.token) })
			if got.Status != http.StatusOK || strings.TrimSpace(got.Body) != `{"active":false}` || n != own+tt.more {
				t.Errorf("%s: %d %s, %d statements, the Guard's own are %d", name, got.Status, got.Body, n, own)
			}
		}
	}
	if got, n := statements(func() answer { return g.introspect(good) }); got.JSON["active"] != true || n <= own {
		t.Errorf("the good token: %d %s, %d statements", got.Status, got.Body, n)
	}
}
