// Entering results of one tube: a critical value is asked about before it is reported, and must be read back.
import { $, $$, N_, ask, facts, h, say } from "./dom.js";
import { dialog, verdict } from "./feedback.js";
import { send } from "./queue.js";

const work = facts("work");

async function report(event) {
  event.preventDefault();
  const card = event.target.closest("[data-test]");
  const { test } = card.dataset;
  const form = new FormData(event.target);
  const status = event.submitter?.dataset.status;
  if (!status) return; // Enter alone reports nothing
  const value = form.get("value").trim();
  if (!value && status !== "cancelled") return $("[name=value]", card).focus();
  const data = { test, status };
  if (status !== "cancelled") Object.assign(data, { value, ...(form.get("unit").trim() && { unit: form.get("unit").trim() }), ...(form.get("flag") && { flag: form.get("flag") }) });
  const critical = status !== "cancelled" && (await isCritical(data));
  if (critical === null) return verdict("warn", N_("No signal: try again"));
  if ((critical || status === "corrected" || status === "cancelled") && !(await sure(card, data, critical))) return;
  if (critical && !(data.flag ?? "").includes("critical")) data.flag = "critical";
  const became = await send("result.reported", work.accession, data);
  if (["refused", "quarantined"].includes(became.outcome)) return verdict("bad", became.detail || N_("That did not work"));
  verdict("ok", N_("{test} is reported"), { test });
  if (critical) await readBack(test, value);
  location.reload();
}

async function isCritical({ test, value, unit = "", flag = "" }) {
  const answer = await ask("POST", "/results/check", { test, value, unit, flag });
  return answer.ok ? answer.json.critical : null;
}

function sure(card, data, critical) {
  const title = critical ? N_("A critical value") : data.status === "corrected" ? N_("Correct a result") : N_("Cancel the test");
  const rows = [[say("Test"), $("h2", card).textContent], [say("New value"), `${data.value ?? "–"} ${data.unit ?? ""}`]];
  const old = $$("tbody tr", card).at(-1);
  if (old) rows.splice(1, 0, [say("Old value"), $("td:nth-child(2)", old).textContent.trim()]);
  const list = h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", { class: "big" }, value)]));
  const hint = critical ? h("p", {}, say("Check the value, report it, then call at once: whoever answers must read it back.")) : "";
  return dialog(title, [list, hint], N_("Report it"));
}

async function readBack(test, value) {
  const who = h("input", { name: "who", id: "who", required: true, maxlength: 80, autocomplete: "off" });
  const said = h("input", { name: "said", id: "said", required: true, maxlength: 200, autocomplete: "off" });
  const form = await dialog(N_("Read-back of a critical value"), [
    h("p", {}, say("Call the clinic. Who answers says the value back; type what they say.")),
    h("div", { class: "field" }, h("label", { for: "who" }, say("Badge or role of who answered: no names")), who),
    h("div", { class: "field" }, h("label", { for: "said" }, say("The value as they read it back")), said),
  ], N_("It was read back"), N_("Not reached yet"));
  if (!form) return verdict("warn", N_("Not read back: the alert stays open"));
  if (form.get("said").trim() !== value) {
    verdict("bad", N_("The value read back differs: say it again"));
    return readBack(test, value);
  }
  await send("result.acknowledged", work.accession, { test, read_back: true, note: `read back by ${form.get("who").trim()}` });
  verdict("ok", N_("Read back"));
}

for (const form of $$("form.result")) {
  form.addEventListener("submit", report);
  form.addEventListener("keydown", (event) => event.key === "Enter" && event.target.matches("input") && event.preventDefault());
}
for (const button of $$(".read-back"))
  button.addEventListener("click", async () => {
    const card = button.closest("[data-test]");
    const value = $$("tbody tr td:nth-child(2) b", card).at(-1).textContent;
    await readBack(card.dataset.test, value);
    location.reload();
  });
