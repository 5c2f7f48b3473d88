// Entering results of one tube: a value that is critical, or may be, is asked about before it is reported, and must be
// read back. A read-back names the report that it is for.
import { $, $$, N_, ask, facts, h, say } from "./dom.js";
import { dialog, verdict } from "./feedback.js";
import { record, send } from "./queue.js";

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
  const judged = status === "cancelled" ? { critical: "no" } : await judge(data);
  if (!judged) return verdict("warn", N_("No signal: try again"));
  const { critical } = judged;
  if ((critical !== "no" || status === "corrected" || status === "cancelled") && !(await sure(card, data, judged))) return;
  if (critical === "yes" && !(data.flag ?? "").includes("critical")) data.flag = "critical";
  const { id, answer } = await record("result.reported", work.accession, data);
  const became = await answer;
  if (["refused", "quarantined"].includes(became.outcome)) return verdict("bad", became.detail || N_("That did not work"));
  verdict("ok", N_("{test} is reported"), { test });
  if (critical !== "no") await readBack({ test, value, report: id, critical });
  location.reload();
}

/** {critical: "yes", "no" or "unjudged", why}; null without an answer. */
async function judge({ test, value, unit = "", flag = "" }) {
  const answer = await ask("POST", "/results/check", { test, value, unit, flag });
  return answer.ok ? answer.json : null;
}

const TITLES = { corrected: N_("Correct a result"), cancelled: N_("Cancel the test") };
const HINTS = {
  yes: N_("Check the value, report it, then call at once: whoever answers must read it back."),
  unjudged: N_("Correct the value or the unit. If they are right: report it, then call. Whoever answers reads it back and judges it; until then an alert is open."),
};

function sure(card, data, { critical, why }) {
  const title = critical === "yes" ? N_("A critical value") : critical === "unjudged" ? N_("Is this value critical? It can't be told") : TITLES[data.status];
  const rows = [[say("Test"), $("h2", card).textContent], [say("New value"), `${data.value ?? "–"} ${data.unit ?? ""}`]];
  const old = $("[data-stands] td:nth-child(2) b", card);
  if (old) rows.splice(1, 0, [say("Old value"), old.textContent]);
  const list = h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", { class: "big" }, value)]));
  if (why) list.append(h("dt", {}, say("Why")), h("dd", { class: "big", id: "why" }, why));
  const hint = HINTS[critical] ? h("p", {}, say(HINTS[critical])) : "";
  return dialog(title, [list, hint], N_("Report it"), critical === "unjudged" ? N_("Correct it") : N_("Back"));
}

/** Blanks are not said aloud: "500, 30" is "500,30". */
const plain = (text) => text.replace(/\s+/g, "");

/** `of`: the analytes of a panel whose values are read back. */
async function readBack(read) {
  const { test, value, report, critical, of } = read;
  const who = h("input", { name: "who", id: "who", required: true, maxlength: 80, autocomplete: "off" });
  const said = h("input", { name: "said", id: "said", required: true, maxlength: 200, autocomplete: "off" });
  const form = await dialog(critical === "yes" ? N_("Read-back of a critical value") : N_("Read-back of a value that can't be judged"), [
    of ? h("p", { class: "big" }, of) : "",
    h("p", {}, say("Call the clinic. Who answers says the value back; type what they say.")),
    h("div", { class: "field" }, h("label", { for: "who" }, say("Badge or role of who answered: no names")), who),
    h("div", { class: "field" }, h("label", { for: "said" }, say("The value as they read it back")), said),
  ], N_("It was read back"), N_("Not reached yet"));
  if (!form) return verdict("warn", N_("Not read back: the alert stays open"));
  if (plain(form.get("said")) !== plain(value)) {
    verdict("bad", N_("The value read back differs: say it again"));
    return readBack(read);
  }
  await send("result.acknowledged", work.accession, { test, read_back: true, report, to: form.get("who").trim() });
  verdict("ok", N_("Read back"));
}

for (const form of $$("form.result")) {
  form.addEventListener("submit", report);
  form.addEventListener("keydown", (event) => event.key === "Enter" && event.target.matches("input") && event.preventDefault());
}
for (const button of $$(".read-back"))
  button.addEventListener("click", async () => {
    const { report, value, critical, of } = button.dataset;
    await readBack({ test: button.closest("[data-test]").dataset.test, value, report, critical, of });
    location.reload();
  });
