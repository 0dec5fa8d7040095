// What an operator may do. Each asks once, and goes as a POST with the admin token in a field that no other page can send.
"use strict";

const actions = (() => {
  const say = (text) => { at("done").textContent = text; };

  function confirmed(question) {
    const dialog = at("ask");
    at("question").textContent = question;
    dialog.returnValue = "no";
    dialog.showModal();
    return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
  }

  async function post(question, path, done) {
    const token = sessionStorage.getItem("token");
    if (!token) {
      say("Type the admin token first: it is in admin.token of the data directory.");
      at("token").focus();
      return;
    }
    if (!await confirmed(question)) return;
    try {
      const answer = await fetch(path, { method: "POST", headers: { "X-Tidegate-Token": token } });
      say(answer.ok ? done : `Not done (${answer.status}): ${(await answer.text()).trim()}`);
    } catch {
      say("Not done: the gateway does not answer.");
    }
  }

  const setPaused = (sku, act) => post(`${act === "pause" ? "Pause" : "Resume"} the sale of ${sku}?`,
    `/skus/${encodeURIComponent(sku)}/${act}`, `${sku}: ${act}d.`);
  const setBreaker = (name, state) => post(
    state === "open" ? `Force ${name} open? Every order for its SKUs will be refused.` : `Let ${name} decide by itself again?`,
    `/breakers/${encodeURIComponent(name)}?state=${state}`, `${name}: ${state}.`);

  document.addEventListener("DOMContentLoaded", () => {
    at("login").addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem("token", at("token").value.trim());
      at("token").value = "";
      say("The token is kept until this tab is closed.");
    });
    at("find").addEventListener("submit", (event) => {
      event.preventDefault();
      const sku = at("sku").value.trim();
      if (sku) setPaused(sku, event.submitter?.value ?? "pause");
    });
    at("reload").addEventListener("click", () => post("Read the configuration again?", "/reload", "Reloaded."));
    at("drain").addEventListener("click", () => post("Drain? The gateway finishes what is in flight and ends.", "/drain", "Draining."));
  });
  return { setPaused, setBreaker };
})();
