package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"strings"
)

// staticPrefix stands before the name of a file in every path of Static.
const staticPrefix = "/static/"

//go:embed static
var staticFiles embed.FS

// asset is one embedded file under the name that browsers see, which holds a hash of its content.
type asset struct {
	url, contentType string
	body, packed     []byte // packed with gzip, where that pays: a file holds no secret that its size could tell
}

var assets = loadAssets("remit.css", "remit.svg", "agents.js", "passkey.js", "push.js", "consent.js")

func loadAssets(names ...string) map[string]asset {
	types := map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
	loaded := make(map[string]asset, len(names))
	for _, name := range names {
		body, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			panic("web: embedded file is missing: " + name) // a broken build, not an input
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(name)
		hash := base64.RawURLEncoding.EncodeToString(sum[:9])
		loaded[name] = asset{
			url:         staticPrefix + strings.TrimSuffix(name, ext) + "-" + hash + ext,
			contentType: types[ext],
			body:        body,
			packed:      pack(body),
		}
	}
	return loaded
}

func pack(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("web: an embedded file cannot be packed: " + err.Error()) // nothing here can fail
	}
	return b.Bytes()
}

// unpacks reports whether a client takes gzip (RFC 9110 §12.5.3).
func unpacks(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		_, q, weighed := strings.Cut(weight, "=")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			return !weighed || strings.Trim(strings.TrimSpace(q), "0.") != ""
		}
	}
	return false
}

// StaticPath returns the hash-named path of an embedded file, or "" for a name that is not embedded.
func StaticPath(name string) string { return assets[name].url }

// Worker is the script that a browser wakes for push messages.
func Worker() []byte {
	body, err := staticFiles.ReadFile("static/worker.js")
	if err != nil {
		panic("web: embedded file is missing: worker.js") // a broken build, not an input
	}
	return body
}

// Static serves the embedded files under /static/, wherever that is mounted. A path holds the hash of its content, so
// that an answer never changes and caches may keep it for good (RFC 8246).
func Static() http.Handler {
	byName := make(map[string]asset, len(assets))
	for _, a := range assets {
		byName[path.Base(a.url)] = a
	}
	return serveAssets(staticPrefix, byName)
}

func serveAssets(prefix string, byName map[string]asset) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := strings.Cut(r.URL.Path, prefix)
		a, ok := byName[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("Vary", "Accept-Encoding")
		body := a.body
		if len(a.packed) > 0 && unpacks(r) {
			h.Set("Content-Encoding", "gzip")
			body = a.packed
		}
		_, _ = w.Write(body)
	})
}
