package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// ErrPushReceiver means that somebody names keys of a browser that are none.
var ErrPushReceiver = errors.New("tokens: not the keys of a push subscription")

// A PushKey tells push services who sends (RFC 8292): a subscription made with its public half takes
// messages from nobody else.
type PushKey struct {
	key    SigningKey
	public []byte
}

// NewPushKey returns the key that belongs to a secret, so that all who share the secret send with one.
func NewPushKey(secret []byte) (PushKey, error) {
	for n := range 4 { // that a derived number is no key has a chance of 2⁻³²
		d, err := hkdf.Key(sha256.New, secret, nil, "remit push key v1 "+strconv.Itoa(n), 32)
		if err != nil {
			return PushKey{}, fmt.Errorf("tokens: derive a key: %w", err)
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
		if err != nil {
			continue
		}
		public, err := key.PublicKey.Bytes()
		if err != nil {
			return PushKey{}, fmt.Errorf("%w: %v", ErrKey, err)
		}
		named, err := signingKey(SigningKey{key: key})
		return PushKey{named, public}, err
	}
	return PushKey{}, ErrKey
}

// Public is the public half as browsers want it (RFC 8292 §3.2).
func (k PushKey) Public() string { return b64.EncodeToString(k.public) }

// pushSignedFor is how long a signature is good; push services accept no more than a day (RFC 8292 §2).
const pushSignedFor = 12 * time.Hour

// Authorization is the header field of a message to this endpoint (RFC 8292 §3). The contact is a
// https or mailto URL of whoever answers for the messages.
func (k PushKey) Authorization(endpoint, contact string, now time.Time) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	token, err := k.key.Sign("JWT", map[string]any{
		"aud": u.Scheme + "://" + u.Host, "exp": now.Add(pushSignedFor).Unix(), "sub": contact,
	})
	return "vapid t=" + token + ", k=" + k.Public(), err
}

// A PushReceiver is a browser that can read what is encrypted for it (RFC 8291 §2).
type PushReceiver struct {
	public *ecdh.PublicKey
	auth   []byte
}

// ParsePushReceiver reads the two values that a browser names its subscription's keys with.
func ParsePushReceiver(p256dh, auth string) (PushReceiver, error) {
	point, err := decode64(p256dh)
	if err != nil {
		return PushReceiver{}, ErrPushReceiver
	}
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return PushReceiver{}, ErrPushReceiver
	}
	shared, err := decode64(auth)
	if err != nil || len(shared) != 16 {
		return PushReceiver{}, ErrPushReceiver
	}
	return PushReceiver{public, shared}, nil
}

// Sizes of a push message: one record (RFC 8291 §4), of which the text is padded, so that its length
// does not tell which text it is.
const (
	pushRecord = 4096
	pushPadded = 1024
)

// Encrypt returns the body of a push message with the content encoding aes128gcm (RFC 8188).
func (r PushReceiver) Encrypt(plain []byte) ([]byte, error) {
	if r.public == nil || len(plain) >= pushPadded {
		return nil, errors.New("tokens: no push receiver, or too long a message")
	}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("tokens: make a key: %w", err)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	return r.encrypt(plain, pushPadded, key, salt)
}

// encrypt pads the text to so many bytes, with the delimiter that ends it.
func (r PushReceiver) encrypt(plain []byte, padded int, key *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	aead, nonce, err := r.pushCipher(key, salt)
	if err != nil {
		return nil, fmt.Errorf("tokens: push: %w", err)
	}
	public := key.PublicKey().Bytes()
	body := binary.BigEndian.AppendUint32(append([]byte(nil), salt...), pushRecord) // RFC 8188 §2.1
	body = append(append(body, byte(len(public))), public...)
	text := append(append(make([]byte, 0, padded), plain...), 2) // the last record's delimiter
	return aead.Seal(body, nonce, text[:max(padded, len(text))], nil), nil
}

// pushCipher derives key and nonce of the one record (RFC 8291 §3.4).
func (r PushReceiver) pushCipher(key *ecdh.PrivateKey, salt []byte) (aead cipher.AEAD, nonce []byte, err error) {
	shared, err := key.ECDH(r.public)
	if err != nil {
		return nil, nil, err
	}
	info := "WebPush: info\x00" + string(r.public.Bytes()) + string(key.PublicKey().Bytes())
	ikm, err1 := hkdf.Key(sha256.New, shared, r.auth, info, 32)
	cek, err2 := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	nonce, err3 := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, nil, err
	}
	aead, err = cipher.NewGCM(block)
	return aead, nonce, err
}
