// Package webtest looks at pages as people do: in Debian's Chromium, light and dark, wide and
// narrow, with scripts and without. It drives tabs (tab.go) and lets axe-core judge what they show
// (axe.go). It knows no page of Remit, and is for tests alone: built with the tag browser, it needs
// what .ci/install installs.
package webtest
