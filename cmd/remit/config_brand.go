package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/web"
)

// brandOf reads the operator's colour and logo; what cannot be read on the pages is refused here.
func (c Config) brandOf() (b web.Brand, err error) {
	var accent *web.Accent
	if c.Accent != "" {
		parsed, err := web.ParseAccent(c.Accent)
		if err != nil {
			return b, fmt.Errorf("REMIT_ACCENT: %w", err)
		}
		accent = &parsed
	}
	var logo []byte
	if c.LogoFile != "" {
		if logo, err = os.ReadFile(c.LogoFile); err != nil {
			return b, fmt.Errorf("REMIT_LOGO_FILE: %w", err)
		}
		if len(logo) == 0 {
			return b, errors.New("REMIT_LOGO_FILE: the file is empty")
		}
	}
	if b, err = web.NewBrand(accent, logo); err != nil {
		err = fmt.Errorf("REMIT_LOGO_FILE: %w", err)
	}
	return b, err
}

func (c Config) checkBrand() error {
	_, err := c.brandOf()
	return err
}

// brand sets what the server is told about its looks.
func (c Config) brand(into *server.Config) (err error) {
	into.Brand, err = c.brandOf()
	return err
}

// accentShown is the colour with the contrast that it has.
func (c Config) accentShown() string {
	a, err := web.ParseAccent(c.Accent)
	if c.Accent == "" || err != nil {
		return c.Accent
	}
	return fmt.Sprintf("%s (light %s %.2f:1, dark %s %.2f:1)", c.Accent, a.Light, a.LightRatio, a.Dark, a.DarkRatio)
}
