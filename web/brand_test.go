package web

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestParseAccent(t *testing.T) { // C29
	for text, dark := range map[string]string{"#1f4fd8": "", "#1f4fd8,#8fb0ff": "#8fb0ff", "#0b6b3a": "", "#000000": "", "#a1141e, #ff9c9c": "#ff9c9c"} {
		a, err := ParseAccent(text)
		if err != nil || a.LightRatio < 4.5 || a.DarkRatio < 4.5 || dark != "" && a.Dark.String() != dark {
			t.Errorf("%s: %+v %v", text, a, err)
		}
	}
	for text, says := range map[string]string{
		"#8fb0ff":         "#8fb0ff has a contrast of 1.9",
		"#1f4fd8,#1f4fd8": "in the dark theme",
		"#767676":         "4.5:1", // 4.54:1 on white, less on the page's ground
		"blue":            "is not a colour", "#fff": "is not a colour", "": "is not a colour", "#1f4fd8,": "is not a colour",
		"#1f4fd8;}": "is not a colour", "#1f4fd8,#8fb0ff,#000000": "is not a colour", "#+f4fd8": "is not a colour",
	} {
		if _, err := ParseAccent(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// TestAccentGrounds: the grounds that contrast is computed on are those of the style sheet.
func TestAccentGrounds(t *testing.T) {
	css, err := staticFiles.ReadFile("static/remit.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	for _, tt := range []struct {
		theme   string
		grounds []Colour
		ink     Colour
	}{{light, lightGrounds, lightInk}, {dark, darkGrounds, darkInk}} {
		for name, c := range map[string]Colour{"--bg": tt.grounds[0], "--card": tt.grounds[1], "--acc-ink": tt.ink} {
			text := c.String()
			if text == "#ffffff" {
				text = "#fff"
			}
			if !strings.Contains(tt.theme, name+": "+text+";") {
				t.Errorf("%s is not %s in the style sheet", name, text)
			}
		}
	}
}

func logo(t *testing.T, side int, encode func(*bytes.Buffer, image.Image) error) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, side, side))
	picture.Set(1, 1, color.RGBA{200, 10, 10, 255})
	var b bytes.Buffer
	if err := encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(b *bytes.Buffer, i image.Image) error { return png.Encode(b, i) }

func TestLogo(t *testing.T) { // C29
	hidden := append(logo(t, 32, asPNG), []byte("<script>alert(1)</script>")...)
	for name, raw := range map[string][]byte{
		"png":  hidden,
		"jpeg": logo(t, 32, func(b *bytes.Buffer, i image.Image) error { return jpeg.Encode(b, i, nil) }),
	} {
		brand, err := NewBrand(nil, raw)
		if err != nil {
			t.Fatal(name, err)
		}
		rec := httptest.NewRecorder()
		brand.Serve().ServeHTTP(rec, httptest.NewRequest("GET", brand.Logo, nil))
		if rec.Code != 200 || rec.Header().Get("Content-Type") != "image/png" || strings.Contains(rec.Body.String(), "script") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Header())
		}
		if _, err := png.Decode(rec.Body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		rec = httptest.NewRecorder()
		brand.Serve().ServeHTTP(rec, httptest.NewRequest("GET", "/brand/other.png", nil))
		if rec.Code != 404 {
			t.Errorf("another file: %d", rec.Code)
		}
	}
	for name, raw := range map[string][]byte{
		"svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), "gif": []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "nothing": {1},
		"too wide": logo(t, 513, asPNG), "too large": make([]byte, 1<<20+1), "cut off": logo(t, 32, asPNG)[:60],
	} {
		if _, err := NewBrand(nil, raw); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestBrandOnPages(t *testing.T) { // C29
	accent, err := ParseAccent("#0b6b3a")
	if err != nil {
		t.Fatal(err)
	}
	brand, err := NewBrand(&accent, logo(t, 32, asPNG))
	if err != nil {
		t.Fatal(err)
	}
	c := sampleConsent(asIs)
	c.Brand, c.Base = brand, "/t1"
	page := render(t, ConsentPage(c))
	for _, want := range []string{`<link rel="stylesheet" href="/t1` + brand.Style + `">`, `<img class="logo" src="/t1` + brand.Logo + `" alt="">`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	rec := httptest.NewRecorder()
	brand.Serve().ServeHTTP(rec, httptest.NewRequest("GET", brand.Style, nil))
	if !strings.Contains(rec.Body.String(), "--acc: #0b6b3a;") {
		t.Errorf("style: %s", rec.Body)
	}
}
