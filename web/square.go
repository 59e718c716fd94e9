package web

import "strconv"

// quiet is the empty border that a QR code needs (ISO/IEC 18004 §5.3.8).
const quiet = 4

// squareBox is the view of a QR code of this side with its quiet zone.
func squareBox(side int) string {
	all := strconv.Itoa(side + 2*quiet)
	return "-" + strconv.Itoa(quiet) + " -" + strconv.Itoa(quiet) + " " + all + " " + all
}
