// Filling a bag: each scanned tube is dispatched at once; stragglers go in until the courier has it.
import { $, N_, ask, facts, h, say } from "./dom.js";
import { dialog, red, verdict } from "./feedback.js";
import { clean, isAccession } from "./identifiers.js";
import { record } from "./queue.js";
import { startScanning } from "./scan.js";

const work = facts("work");
const inside = new Set(work.tubes);

async function take(code) {
  if (!isAccession(code)) return verdict("bad", N_("This is no tube"));
  if (inside.has(code)) return verdict("warn", N_("This tube is already in this bag"));
  if (work.closed) return red(N_("This bag is gone"), [[N_("Bag"), work.manifest]], N_("I take a new bag for this tube"), null);
  if (inside.size >= work.capacity) return red(N_("This bag is full"), [[N_("Tubes"), String(inside.size)]], N_("I take a new bag for this tube"), null);
  const answer = await ask("POST", "/dispatch/tube", { manifest: work.manifest, scanned: code });
  const told = answer.json ?? {};
  if (answer.ok && told.stop) {
    const shown = [[N_("Tube"), code], [N_("Status"), say(told.status)], ...(told.manifest ? [[N_("Bag"), told.manifest]] : [])];
    return red(told.fault, shown, N_("I put this tube aside"), { kind: "tube", expected: work.manifest, scanned: code, accession: code });
  }
  if (!answer.ok && answer.status !== 0) return verdict("bad", answer.json?.detail || N_("That did not work"));
  const data = { manifest: work.manifest, destination: work.destination, transport: work.transport };
  if (work.tote) data.tote = work.tote;
  if (work.seal) data.seal = work.seal;
  const { answer: later } = await record("specimen.dispatched", code, data);
  inside.add(code);
  $("#count").textContent = inside.size;
  const end = h("span", { class: "end" }, told.priority === "stat" ? h("strong", { class: "tag stat" }, "STAT") : "");
  const row = h("li", { "data-state": "ok" }, h("div", { class: "item" }, h("span", { class: "code" }, code), say(told.container ?? ""), end));
  $("#tubes").prepend(row);
  verdict(told.fault ? "warn" : "ok", told.fault || N_("{accession} is in the bag"), { accession: code });
  later.then((became) => judged(code, became, row, end)); // not waited for: the next scan must be taken at once
}

function judged(code, became, row, end) {
  if (became.outcome === "refused" || became.outcome === "quarantined") {
    inside.delete(code);
    $("#count").textContent = inside.size;
    row.dataset.state = "missing";
    end.textContent = became.detail || say(became.reason ?? "");
    verdict("bad", N_("{accession} was not recorded"), { accession: code });
  } else if (became.discrepancies?.length) end.append(...became.discrepancies.map((one) => h("span", { class: "tag warn" }, say(one))));
}

$("#reseal").addEventListener("click", async () => {
  const seal = h("input", { name: "seal", id: "new-seal", required: true, maxlength: 40, autocomplete: "off" });
  const form = await dialog(N_("New seal"), [h("label", { for: "new-seal" }, say("Seal: scan it")), seal, h("p", { class: "hint" }, say("For the tubes that go in from now on. The courier scans the seal that closes the bag."))], N_("Use it"));
  if (!form) return;
  work.seal = clean(form.get("seal"));
  $("#seal-shown").textContent = work.seal;
});
startScanning(take);
