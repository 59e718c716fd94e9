package server

import "strings"

// words are for pairing: 64 that describe and 64 that are described, none like another.
var words = strings.Fields(`
amber brave calm cedar clear coral crisp dusky early fancy fleet fresh frosty gentle golden grand
green happy hazel honest humble ivory jolly keen light lively loyal lucky lunar mellow merry misty
noble olive opal pale pearl plain polar proud quick quiet rapid royal ruby rusty sandy sharp
silent silver sleek smooth snowy solar solid spicy steady sunny swift tidy vivid warm wild young
anchor apple arrow badger basket beacon bear birch bridge canoe castle cloud comet crane daisy dolphin
eagle falcon fern finch forest fox garden glacier harbor hawk heron island ivy jaguar kettle lake
lantern lemon lion lotus maple meadow moose moth nest oak orchid otter owl panda parrot pebble
pine planet raven reef river robin sail seal shell spruce stork swan tiger tulip walrus willow
`)
