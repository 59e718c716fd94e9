"use strict";

// Says when a minute is left to answer the page, and when that is over. It changes nothing else: the
// button for more time is a button of the form.
(() => {
	const box = document.getElementById("expiry");
	if (!box) return;
	const status = box.querySelector("[role=status]");
	const ends = Date.now() + 1000 * Number(box.dataset.seconds);
	const warning = 60000; // ms before the end
	function look() {
		const left = ends - Date.now();
		const text = left <= 0 ? box.dataset.over : left <= warning ? box.dataset.soon : "";
		if (status.textContent !== text) status.textContent = text;
		box.classList.toggle("now", text !== "");
		if (left > 0) setTimeout(look, Math.min(left > warning ? left - warning : left, 30000));
	}
	look();
	document.addEventListener("visibilitychange", look);
})();

// The answer counts once: pressed a second time, the button would call off the way back to the app.
(() => {
	let sent = false;
	document.addEventListener("submit", event => {
		if (sent) return event.preventDefault();
		sent = true;
		setTimeout(() => { sent = false }, 10000);
	});
	addEventListener("pageshow", () => { sent = false });
})();
