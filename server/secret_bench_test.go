package server_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// BenchmarkWrongSecret times the refusal of secrets that are wrong from their first letter on, and of secrets
// that are wrong in their last one, 10,000 of each mixed at random, and reports Welch's t of the two without
// their slowest tenth (the way of dudect): beyond 4.5 the one could be told from the other by its time. "naive"
// is what this measurement says of a comparison that stops at the first letter that differs, of 4 kB.
func BenchmarkWrongSecret(b *testing.B) { // attacks.md CA10
	w := benchWorld(b)
	h := w.server.Handler()
	secret := tokens.NewSecret("rs_")
	must(b, w.store.AddClient(context.Background(), store.Client{
		ID: "cli_secret", CreatedAt: w.clock.Now(), SecretHash: store.HashOf(secret),
		Metadata: store.ClientMetadata{TokenEndpointAuthMethod: oauth.AuthClientSecretPost, GrantTypes: []string{oauth.GrantClientCredentials}},
	}))
	bodies := [2]string{}
	for i, wrong := range []string{"~" + secret[1:], secret[:len(secret)-1] + "~"} {
		bodies[i] = url.Values{"grant_type": {oauth.GrantClientCredentials}, "client_id": {"cli_secret"}, "client_secret": {wrong}}.Encode()
	}
	b.Run("server", func(b *testing.B) {
		reportT(b, func(class int) {
			if got := serve(h, "POST", "/token", bodies[class], "", ""); got.Code != http.StatusUnauthorized {
				panic(got.Body.String())
			}
		})
	})
	long := make([]byte, 4<<10)
	wrong := [2][]byte{slices.Clone(long), slices.Clone(long)}
	wrong[0][0], wrong[1][len(long)-1] = 1, 1
	b.Run("naive", func(b *testing.B) {
		reportT(b, func(class int) {
			for i := range long {
				if long[i] != wrong[class][i] {
					return
				}
			}
			panic("equal")
		})
	})
}

// reportT does both classes in turns that chance chooses, and reports the t of their times.
func reportT(b *testing.B, op func(class int)) {
	const each = 10_000
	var took [2][]float64
	for len(took[0]) < each || len(took[1]) < each {
		class := rand.IntN(2)
		began := time.Now()
		op(class)
		took[class] = append(took[class], float64(time.Since(began).Nanoseconds()))
	}
	var mean, spread [2]float64
	for class := range took {
		slices.Sort(took[class])
		kept := took[class][:len(took[class])*9/10]
		for _, v := range kept {
			mean[class] += v / float64(len(kept))
		}
		for _, v := range kept {
			spread[class] += (v - mean[class]) * (v - mean[class]) / float64(len(kept)-1) / float64(len(kept))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(math.Abs(mean[0]-mean[1])/math.Sqrt(spread[0]+spread[1]), "t")
	b.ReportMetric(mean[0], "first-letter-ns")
	b.ReportMetric(mean[1], "last-letter-ns")
}
