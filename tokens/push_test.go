package tokens

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The example of RFC 8291 §5.
const (
	pushPlain   = "When I grow up, I want to be a watermelon"
	pushP256DH  = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	pushAuth    = "BTBZMqHH6r4Tts7J_aSIgg"
	pushSender  = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	pushSalt    = "DGv6ra1nlYgDCS1FRnbzlw"
	pushMessage = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

func TestPushExample(t *testing.T) {
	r, err := ParsePushReceiver(pushP256DH, pushAuth)
	if err != nil {
		t.Fatal(err)
	}
	d, err1 := decode64(pushSender)
	salt, err2 := decode64(pushSalt)
	key, err3 := ecdh.P256().NewPrivateKey(d)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	body, err := r.encrypt([]byte(pushPlain), 0, key, salt)
	if err != nil || b64.EncodeToString(body) != pushMessage {
		t.Errorf("encrypt = %s, %v", b64.EncodeToString(body), err)
	}
}

// TestPushHidesLength: two texts make messages of one length, never the same twice.
func TestPushHidesLength(t *testing.T) {
	r, err := ParsePushReceiver(pushP256DH, pushAuth)
	if err != nil {
		t.Fatal(err)
	}
	one, err1 := r.Encrypt([]byte("x"))
	two, err2 := r.Encrypt([]byte(strings.Repeat("x", pushPadded-1)))
	again, err3 := r.Encrypt([]byte("x"))
	if err1 != nil || err2 != nil || err3 != nil || len(one) != len(two) || bytes.Equal(one, again) {
		t.Errorf("%d and %d bytes; %v %v %v", len(one), len(two), err1, err2, err3)
	}
	if _, err := r.Encrypt(make([]byte, pushPadded)); err == nil {
		t.Error("a text that does not fit was taken")
	}
	if _, err := (PushReceiver{}).Encrypt([]byte("x")); err == nil {
		t.Error("encrypted for nobody")
	}
}

func TestParsePushReceiver(t *testing.T) {
	point, err := decode64(pushP256DH)
	if err != nil {
		t.Fatal(err)
	}
	off := append([]byte(nil), point...)
	off[40] ^= 1
	for name, keys := range map[string][2]string{
		"nothing":              {"", ""},
		"no auth":              {pushP256DH, ""},
		"a short auth":         {pushP256DH, "BTBZMqHH6r4Tts7J_aSI"},
		"padding":              {pushP256DH + "=", pushAuth},
		"line break":           {pushP256DH + "\n", pushAuth},
		"not on the curve":     {b64.EncodeToString(off), pushAuth},
		"the point at nowhere": {"AA", pushAuth},
		"compressed":           {b64.EncodeToString(append([]byte{2}, point[1:33]...)), pushAuth},
	} {
		if _, err := ParsePushReceiver(keys[0], keys[1]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPushKey: one secret, one key; its header names the service, the contact and an end (RFC 8292 §2).
func TestPushKey(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	one, err1 := NewPushKey(secret)
	two, err2 := NewPushKey(secret)
	other, err3 := NewPushKey([]byte("another secret of thirty-two byte"))
	if err1 != nil || err2 != nil || err3 != nil || one.Public() != two.Public() || one.Public() == other.Public() {
		t.Fatalf("%v %v %v", err1, err2, err3)
	}
	now := time.Unix(1_700_000_000, 0)
	header, err := one.Authorization("https://push.example:8443/send/x", "https://as.example", now)
	if err != nil {
		t.Fatal(err)
	}
	token, key, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	if !ok || key != one.Public() {
		t.Fatalf("header %q", header)
	}
	payload, _, err := NewKeySet(one.key).Verify(token, "JWT")
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Aud != "https://push.example:8443" || claims.Sub != "https://as.example" ||
		claims.Exp <= now.Unix() || claims.Exp > now.Add(24*time.Hour).Unix() {
		t.Errorf("claims %s, %v", payload, err)
	}
}
