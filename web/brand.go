package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // a logo may be one
	"image/png"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Brand is what an operator changes of the pages: a logo and an accent colour. Their files are served
// from here, under names that hold their hash, so that the pages' policy stays as it is.
type Brand struct {
	Logo, Style string // paths; empty: the pages' own
	files       map[string]asset
}

// leastContrast is what WCAG 2.2 §1.4.3 asks of text.
const leastContrast = 4.5

// The grounds that the accent colour stands on as text, in the light and in the dark theme, and the
// ink that stands on it on buttons: those of remit.css.
var (
	lightGrounds, darkGrounds = []Colour{{0xf5, 0xf6, 0xf8}, {0xff, 0xff, 0xff}}, []Colour{{0x0f, 0x12, 0x16}, {0x18, 0x1c, 0x22}}
	lightInk, darkInk         = Colour{0xff, 0xff, 0xff}, Colour{0x0b, 0x10, 0x20}
)

// Colour is an sRGB colour.
type Colour [3]uint8

// String is the colour in CSS.
func (c Colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

func parseColour(s string) (c Colour, err error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 24)
	if err != nil || len(s) != 7 || s[0] != '#' {
		return c, fmt.Errorf("%q is not a colour such as #1f4fd8", s)
	}
	return Colour{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
}

// luminance is the relative luminance of WCAG 2.2.
func (c Colour) luminance() float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

// Contrast is the contrast ratio of two colours (WCAG 2.2).
func Contrast(a, b Colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Accent is an operator's colour in both themes, with the least contrast that it has there.
type Accent struct {
	Light, Dark           Colour
	LightRatio, DarkRatio float64
}

// ParseAccent reads one colour, or two apart by a comma for the light and the dark theme. Of one, the
// dark theme's is made by lightening it until it can be read there.
func ParseAccent(text string) (a Accent, err error) {
	light, dark, two := strings.Cut(strings.ReplaceAll(text, " ", ""), ",")
	if a.Light, err = parseColour(light); err != nil {
		return a, err
	}
	a.Dark = a.Light
	if two {
		if a.Dark, err = parseColour(dark); err != nil {
			return a, err
		}
	}
	a.LightRatio = leastOf(a.Light, lightGrounds, lightInk)
	for a.DarkRatio = leastOf(a.Dark, darkGrounds, darkInk); !two && a.DarkRatio < leastContrast; a.DarkRatio = leastOf(a.Dark, darkGrounds, darkInk) {
		a.Dark = a.Dark.mixed(Colour{0xff, 0xff, 0xff})
	}
	return a, errors.Join(readable("light", a.Light, a.LightRatio), readable("dark", a.Dark, a.DarkRatio))
}

func readable(theme string, c Colour, ratio float64) error {
	if ratio >= leastContrast {
		return nil
	}
	return fmt.Errorf("%s has a contrast of %.2f:1 in the %s theme; text needs at least %.1f:1 (WCAG 2.2 §1.4.3)", c, math.Floor(ratio*100)/100, theme, leastContrast)
}

// leastOf is the least contrast of the colour as text on the grounds, and under the ink of a button.
func leastOf(c Colour, grounds []Colour, ink Colour) float64 {
	least := Contrast(c, ink)
	for _, g := range grounds {
		least = min(least, Contrast(c, g))
	}
	return least
}

// mixed is the colour with a tenth of another.
func (c Colour) mixed(with Colour) Colour {
	for i := range c {
		c[i] = uint8(math.Round(float64(c[i])*0.9 + float64(with[i])*0.1))
	}
	return c
}

// Bounds of a logo.
const (
	maxLogoFile = 1 << 20
	maxLogoSide = 512
	maxLogoSent = 64 << 10
)

// ParseLogo reads a PNG or JPEG and returns it as a PNG made anew: nothing but its pixels gets to a page.
func ParseLogo(raw []byte) ([]byte, error) {
	if len(raw) > maxLogoFile {
		return nil, errors.New("the logo is larger than 1 MiB")
	}
	bounds, kind, err := image.DecodeConfig(bytes.NewReader(raw))
	switch {
	case err != nil || kind != "png" && kind != "jpeg":
		return nil, errors.New("the logo is no PNG or JPEG")
	case bounds.Width > maxLogoSide || bounds.Height > maxLogoSide || bounds.Width < 1 || bounds.Height < 1:
		return nil, fmt.Errorf("the logo has %d by %d pixels; make it at most %d by %d", bounds.Width, bounds.Height, maxLogoSide, maxLogoSide)
	}
	picture, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("the logo cannot be read")
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, err
	}
	if out.Len() > maxLogoSent {
		return nil, fmt.Errorf("the logo takes %d bytes as a PNG; pages carry at most %d", out.Len(), maxLogoSent)
	}
	return out.Bytes(), nil
}

// NewBrand makes the files of a brand; nil and an empty logo leave the pages their own.
func NewBrand(accent *Accent, logo []byte) (Brand, error) {
	b := Brand{files: map[string]asset{}}
	if accent != nil {
		b.Style = b.add("brand", ".css", "text/css; charset=utf-8", accent.css())
	}
	if len(logo) > 0 {
		made, err := ParseLogo(logo)
		if err != nil {
			return b, err
		}
		b.Logo = b.add("logo", ".png", "image/png", made)
	}
	return b, nil
}

// css sets the variables of remit.css anew. The hover colour is a shade away, toward the ink's opposite.
func (a Accent) css() []byte {
	return fmt.Appendf(nil, ":root { --acc: %s; --acc-hover: %s; }\n@media (prefers-color-scheme: dark) { :root { --acc: %s; --acc-hover: %s; } }\n",
		a.Light, a.Light.mixed(Colour{}), a.Dark, a.Dark.mixed(Colour{0xff, 0xff, 0xff}))
}

func (b Brand) add(name, ext, kind string, body []byte) string {
	sum := sha256.Sum256(body)
	url := brandPrefix + name + "-" + base64.RawURLEncoding.EncodeToString(sum[:9]) + ext
	b.files[path.Base(url)] = asset{url: url, contentType: kind, body: body}
	return url
}

// brandPrefix stands before the name of a file in every path of a Brand.
const brandPrefix = "/brand/"

// Serve serves the brand's files under /brand/, wherever that is mounted.
func (b Brand) Serve() http.Handler { return serveAssets(brandPrefix, b.files) }
