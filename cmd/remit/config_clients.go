package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/remit-auth/remit/server"
)

// Values of REMIT_CIMD, REMIT_REGISTRATION and REMIT_BEARER.
const (
	cimdOn             = "on"
	cimdOff            = "off"
	registrationClosed = "closed"
	registrationOpen   = "open"
	bearerAdded        = "added"
	bearerAll          = "all"
)

// checkClients refuses settings about clients that no admin added.
func (c Config) checkClients() error {
	var errs []error
	if c.CIMD != "" && c.CIMD != cimdOn && c.CIMD != cimdOff {
		errs = append(errs, fmt.Errorf("REMIT_CIMD: %q is neither on nor off", c.CIMD))
	}
	if c.KillTwo != "" && c.KillTwo != "on" && c.KillTwo != "off" {
		errs = append(errs, fmt.Errorf("REMIT_KILL_TWO_PERSONS: %q is neither on nor off", c.KillTwo))
	}
	if c.Rules != "" && c.Rules != "on" && c.Rules != "off" {
		errs = append(errs, fmt.Errorf("REMIT_RULES: %q is neither on nor off", c.Rules))
	}
	if c.Registration != "" && c.Registration != registrationClosed && c.Registration != registrationOpen {
		errs = append(errs, fmt.Errorf("REMIT_REGISTRATION: %q is neither closed nor open (a token in REMIT_REGISTRATION_TOKEN_FILE opens it to whoever holds the token)", c.Registration))
	}
	if c.Bearer != "" && c.Bearer != bearerAdded && c.Bearer != bearerAll {
		errs = append(errs, fmt.Errorf("REMIT_BEARER: %q is neither added nor all", c.Bearer))
	}
	_, err := c.cimdPorts()
	return errors.Join(append(errs, err)...)
}

// cimdPorts are the ports that documents may be fetched from besides 443.
func (c Config) cimdPorts() ([]uint16, error) {
	var ports []uint16
	for _, text := range c.CIMDPorts {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("REMIT_CIMD_PORTS: %q is not a port", text)
		}
		ports = append(ports, uint16(port))
	}
	return ports, nil
}

// clients tells the server who may come without an admin. Published metadata is on unless switched
// off; registration is closed unless opened.
func (c Config) clients(into *server.Config) error {
	ports, err := c.cimdPorts()
	if err != nil {
		return err
	}
	into.CIMD = server.CIMD{Enabled: c.CIMD != cimdOff, Domains: c.CIMDDomains}
	into.Fetch.Ports = ports
	into.Registration = server.Registration{Open: c.Registration == registrationOpen, Token: c.RegistrationToken}
	into.BearerForAll = c.Bearer == bearerAll
	return nil
}
