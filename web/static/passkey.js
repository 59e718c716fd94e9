// Runs the ceremonies of passkeys (WebAuthn Level 3): a form with data-passkey asks the browser what
// data-options says, and posts its answer. Forms of this kind are hidden where that cannot work.
"use strict";
(() => {
	if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
	let waiting; // the ceremony that waits in the e-mail field's suggestions
	let answered = Promise.resolve(false); // whether that one was answered, once it is over

	async function ask(form, extra) {
		const options = JSON.parse(form.dataset.options);
		if (form.dataset.passkey === "create") {
			return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options), ...extra });
		}
		return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), ...extra });
	}

	function answer(form, credential) {
		form.elements.credential.value = JSON.stringify(credential.toJSON());
		form.submit();
	}

	for (const form of document.querySelectorAll("form[data-passkey]")) {
		form.hidden = false;
		form.addEventListener("submit", async event => {
			event.preventDefault();
			if (waiting) waiting.abort();
			if (await answered) return; // the page is on its way out: one answer is enough
			const note = form.querySelector("[role=alert]");
			note.hidden = true;
			try {
				answer(form, await ask(form, {}));
			} catch (err) {
				note.textContent = err.message;
				note.hidden = false;
			}
		});
		if ("waits" in form.dataset && PublicKeyCredential.isConditionalMediationAvailable) {
			PublicKeyCredential.isConditionalMediationAvailable().then(able => {
				if (!able) return;
				waiting = new AbortController();
				answered = ask(form, { mediation: "conditional", signal: waiting.signal }).then(
					credential => { answer(form, credential); return true; },
					() => false); // the person chose another way
			});
		}
	}
})();
