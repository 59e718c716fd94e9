package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server"
)

// keyAgeOff turns the scheduled rotation off.
const keyAgeOff = "off"

// leastKeyAge bounds how often keys may change by themselves: nobody keeps more than a few at once.
const leastKeyAge = time.Hour

// checkKeys refuses settings about keys that contradict each other.
func (c Config) checkKeys() error {
	var errs []error
	given := 0
	for _, set := range []bool{c.MasterKeyFile != "", c.MasterKey != "", len(c.MasterKeyURL) > 0} {
		if set {
			given++
		}
	}
	if given > 1 {
		errs = append(errs, errors.New("REMIT_MASTER_KEY_FILE, REMIT_MASTER_KEY and REMIT_MASTER_KEY_URL: set one of them"))
	}
	if c.KeyAlgorithm != "" && c.KeyAlgorithm != "ES256" && c.KeyAlgorithm != "EdDSA" {
		errs = append(errs, fmt.Errorf("REMIT_KEY_ALGORITHM: %q is neither ES256 nor EdDSA", c.KeyAlgorithm))
	}
	_, err := c.keyAge()
	return errors.Join(append(errs, err)...)
}

// keyAge is how old a signing key gets; 0: as old as it likes.
func (c Config) keyAge() (time.Duration, error) {
	switch c.KeyAge {
	case "":
		return server.DefaultKeyAge, nil
	case keyAgeOff:
		return 0, nil
	}
	age, err := time.ParseDuration(c.KeyAge)
	if days, ok := strings.CutSuffix(c.KeyAge, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(min(n, 36500)) * 24 * time.Hour
	}
	if err != nil || age < leastKeyAge {
		return 0, fmt.Errorf("REMIT_KEY_AGE: %q is neither a time of at least %s, such as 90d or 12h, nor off", c.KeyAge, leastKeyAge)
	}
	return age, nil
}

// keys sets what the server is told about keys.
func (c Config) keys(settings *server.Config) (err error) {
	settings.KeyAlgorithm = c.KeyAlgorithm
	settings.KeyAge, err = c.keyAge()
	return err
}
