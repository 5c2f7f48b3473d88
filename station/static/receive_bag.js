// Receiving: each tube is checked by its scan; what was not scanned is "not yet checked" until somebody says otherwise.
import { $, N_, facts, h, many, say } from "./dom.js";
import { dialog, verdict } from "./feedback.js";
import { isAccession } from "./identifiers.js";
import { record, send } from "./queue.js";
import { startScanning } from "./scan.js";

const work = facts("work");
const tubes = new Map(work.tubes.map((one) => [one.accession, { ...one, state: startState(one), expected: true }]));
let last = null;

function startState(one) {
  if (one.status === "rejected") return "rejected";
  if (one.status === "missing" && one.current) return "missing";
  return one.received ? "ok" : "";
}

const WORDS = { "": N_("not yet checked"), ok: N_("received"), extra: N_("received, unexpected"), rejected: N_("rejected"), missing: N_("not in the package") };

function draw() {
  const all = [...tubes.values()];
  const count = (test) => all.filter(test).length;
  $("#received").textContent = count((one) => one.state === "ok" || one.state === "extra");
  if ($("#unchecked")) $("#unchecked").textContent = count((one) => !one.state);
  $("#unexpected").textContent = count((one) => !one.expected);
  $("#rejected").textContent = count((one) => one.state === "rejected");
  const order = { "": 0, missing: 1, rejected: 2, extra: 3, ok: 4 };
  all.sort((a, b) => order[a.state] - order[b.state] || (b.at ?? 0) - (a.at ?? 0));
  $("#tubes").replaceChildren(...all.map(row));
  $("#reject").disabled = !last;
  if (last) $("#reject").textContent = say("Reject {accession}", { accession: last });
}

function row(one) {
  const end = [one.priority === "stat" && h("strong", { class: "tag stat" }, "STAT"), ...(one.codes ?? []).map((code) => h("span", { class: "tag warn" }, say(code)))];
  if (!one.state && finishing) end.push(h("button", { type: "button", class: "quiet", onclick: () => missing(one) }, say("Not in the package")));
  return h("li", { "data-state": one.state, "data-tube": one.accession }, h("div", { class: "item" }, h("span", { class: "code" }, one.accession), h("span", {}, say(WORDS[one.state])), h("span", { class: "end row" }, end)));
}

function said() {
  const data = {};
  if (work.manifest) data.manifest = work.manifest;
  if ($("#condition").value) data.condition = $("#condition").value;
  const degrees = $("#temperature").value.trim().replace(",", ".");
  if (/^-?\d{1,3}(\.\d)?$/.test(degrees)) data.temperature_c = Number(degrees);
  return data;
}

async function take(code) {
  if (!isAccession(code)) return verdict("bad", N_("This is no tube"));
  let one = tubes.get(code);
  if (one && ["ok", "extra", "rejected"].includes(one.state)) {
    last = one.state === "rejected" ? null : code;
    draw();
    return verdict("warn", N_("{accession}: scanned twice, counted once"), { accession: code });
  }
  const was = one?.state;
  one ??= { accession: code, expected: !work.manifest, at: 0 }; // of a bag whose list is not shown, nothing is expected
  tubes.set(code, one);
  if (was === "missing") await record("specimen.found", code, work.manifest ? { manifest: work.manifest } : {});
  const { answer } = await record("specimen.received", code, said());
  Object.assign(one, { state: one.expected ? "ok" : "extra", at: performance.now() });
  last = code;
  if (work.elsewhere) verdict("warn", N_("{accession} is received here, but was meant for {site}: recorded, and the sender is told"), { accession: code, site: work.elsewhere });
  else if (one.expected) verdict("ok", N_("{accession} is received"), { accession: code });
  else verdict("warn", N_("{accession} is not on this manifest: recorded, and the clinic is told"), { accession: code });
  draw();
  // not waited for: the next scan must be taken at once
  answer.then((became) => {
    one.codes = became.discrepancies ?? [];
    if (["refused", "quarantined"].includes(became.outcome)) verdict("bad", became.detail || N_("That did not work"));
    draw();
  });
}

async function reject() {
  const accession = last;
  const reason = h("select", { name: "reason", id: "reason" });
  reason.append($("#reasons").content.cloneNode(true));
  const again = h("input", { type: "checkbox", name: "recollect", id: "recollect", checked: true });
  const note = h("input", { name: "note", id: "note", maxlength: 200, autocomplete: "off" });
  const form = await dialog(say("Reject {accession}", { accession }), [
    h("div", { class: "field" }, h("label", { for: "reason" }, say("Reason")), reason),
    h("label", { class: "check" }, again, say("Ask the clinic for a new tube")),
    h("div", { class: "field" }, h("label", { for: "note" }, say("Note: no names")), note),
  ], N_("Reject"));
  if (!form) return;
  const recollect = form.get("recollect") !== null;
  const data = { reason: form.get("reason"), recollect };
  if (form.get("note").trim()) data.note = form.get("note").trim();
  const became = await send("specimen.rejected", accession, data);
  if (became.outcome === "refused") return verdict("bad", became.detail || N_("That did not work"));
  tubes.get(accession).state = "rejected";
  last = null;
  verdict("ok", recollect ? N_("{accession} is rejected, a new tube is asked for") : N_("{accession} is rejected"), { accession });
  draw();
}

let finishing = false;
async function missing(one) {
  const form = await dialog(N_("Not in the package"), [h("p", { class: "big code" }, one.accession), h("p", {}, say("It was looked for in the bag and beside it, and is not there."))], N_("Report it missing"));
  if (!form) return;
  await send("specimen.missing", one.accession, work.manifest ? { manifest: work.manifest } : {});
  one.state = "missing";
  verdict("warn", N_("{accession} is reported missing"), { accession: one.accession });
  draw();
}

$("#reject").addEventListener("click", reject);
$("#finish").addEventListener("click", () => {
  finishing = true;
  const open = [...tubes.values()].filter((one) => !one.state).length;
  draw();
  if (work.hidden) verdict("ok", many(Number($("#received").textContent), "1 tube received here", "{n} tubes received here"));
  else if (open) verdict("warn", N_("{n} tubes are not yet checked: scan them, or say of each that it is not in the package"), { n: open });
  else verdict("ok", N_("Every tube of this bag is accounted for"));
});
startScanning(take);
draw();
