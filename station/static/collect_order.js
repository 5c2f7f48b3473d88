// Collecting one order: patient, then for each tube its lot, the draw, the label, the read-back.

import { $, $$, N_, ask, facts, h, say } from "./dom.js";
import { dialog, red, verdict } from "./feedback.js";
import { isAccession, opaque } from "./identifiers.js";
import { send } from "./queue.js";
import { printAgain } from "./reprint.js";
import { prompt, startScanning } from "./scan.js";

const work = facts("work");
const LOOKED = N_("I stopped and looked again: patient, order and tube belong together");
const NOT_TAKEN = [N_("Patient refused"), N_("Vein not found"), N_("Patient not fasting"), N_("Too little"), N_("Patient not there")];
let step = "patient";
let draw = 0; // which of work.draws
let lot = null;
let tube = null; // {accession, container, serial of its label}: drawn, waits for its read-back
const unlabeled = work.unlabeled;

const current = () => work.draws[draw];
const row = () => $(`#draws [data-number="${draw}"]`);

function show(name) {
  step = name;
  const names = ["patient", "lot", "draw", "label"];
  for (const item of $$("#steps li")) {
    item.classList.toggle("done", names.indexOf(item.dataset.step) < names.indexOf(name) || name === "done");
    item.toggleAttribute("aria-current", false);
    if (item.dataset.step === name) item.setAttribute("aria-current", "step");
  }
  for (const item of $$("#draws [data-number]")) item.toggleAttribute("aria-current", false);
  row()?.setAttribute("aria-current", "true");
  $("#act").replaceChildren(...buttons(name));
  $("#label").hidden = name !== "label";
}

function button(text, act, kind = "quiet") {
  return h("button", { type: "button", class: kind, onclick: act }, text);
}

function buttons(name) {
  if (name === "lot")
    return [
      ...current().lots.map((one) => button(say("Lot {lot}, expires {date}", { lot: one.lot, date: one.expires ?? "–" }), () => checkLot(one.lot))),
      button(say("Not collected"), notCollected),
    ];
  if (name === "draw") {
    const drawn = h("button", { type: "button", id: "drawn", class: "wide", onclick: collect }, say("The tube is drawn"));
    return [drawn, button(say("Not collected"), notCollected)];
  }
  if (name === "label") return [button(say("Print the label again"), reprint)];
  if (name === "done") return [h("a", { class: "button", href: "/collect", id: "next-order" }, say("Next order"))];
  return [];
}

function next() {
  if (work.cancelled && !unlabeled.length) {
    prompt(N_("This order was cancelled: nothing is to be drawn"));
    return show("done");
  }
  tube = unlabeled.shift() ?? null;
  if (tube) return askForLabel();
  lot = null;
  if (draw >= work.draws.length) {
    prompt(N_("Everything is collected and labeled"));
    return show("done");
  }
  prompt(N_("Scan the lot of the {name} ({colour})"), { name: say(current().name), colour: say(current().colour) });
  show("lot");
}

function askForLabel() {
  prompt(N_("Stick the label on the tube, then scan it there"));
  const picture = $("#label-picture");
  picture.src = `/api/v1/labels/${tube.accession}.png`;
  picture.alt = say("Label {accession}", { accession: tube.accession });
  show("label");
}

async function checkPatient(code) {
  const answer = await ask("POST", `/collect/${encodeURIComponent(work.order)}/patient`, { scanned: code });
  if (!answer.ok) return verdict("warn", answer.status === 0 ? N_("No signal: try again") : N_("That did not work"));
  if (answer.json.match) {
    verdict("ok", N_("Patient and order belong together"));
    return next();
  }
  const miss = { kind: "patient", expected: work.patient ?? "", scanned: code, order: work.order };
  await red(N_("Wrong patient"), [[N_("Order"), work.order], [N_("Expected"), work.patient ?? "–"]], LOOKED, miss);
}

async function checkLot(code) {
  const answer = await ask("POST", "/collect/lot", { container: current().container, scanned: code, order: work.order });
  if (!answer.ok) return verdict("warn", answer.status === 0 ? N_("No signal: try again") : N_("That did not work"));
  const { fault, item, expires, detail } = answer.json;
  if (fault === "unreadable") return verdict("bad", N_("No lot can be read from this: scan the tube's or the box's code"));
  if (fault === "cancelled") return red(N_("This order was cancelled"), [[N_("Order"), work.order]], N_("I draw nothing for it"), null).then(() => location.reload());
  if (fault === "unknown" && !(await confirmed(answer.json))) return verdict("warn", N_("Scan the lot again"));
  if (!fault || fault === "unknown") {
    lot = answer.json;
    if (fault) verdict("warn", N_("Lot {lot} is not on record here: taken as confirmed"), { lot: lot.lot });
    else verdict("ok", N_("Lot {lot} is good"), { lot: lot.lot });
    prompt(N_("Draw the {name} ({colour})"), { name: say(current().name), colour: say(current().colour) });
    return show("draw");
  }
  const titles = { expired: N_("This tube has expired"), recalled: N_("This lot is recalled"), "wrong-tube": N_("Wrong tube") };
  const shown = [[N_("Lot"), answer.json.lot], [N_("Expected"), say(current().name)]];
  if (fault === "expired") shown.push([N_("Expired"), expires]);
  if (fault !== "expired") shown.push(fault === "recalled" ? [N_("Notice"), detail] : [N_("This is"), say(detail)]);
  const miss = { kind: fault === "wrong-tube" ? "tube" : "lot", expected: current().item, scanned: item, order: work.order };
  await red(titles[fault], shown, N_("I put this tube aside and take another one"), miss);
}

/** Whether a person says that a lot that is not on record here is the one on the box. */
function confirmed({ lot, twins }) {
  const alike = twins.length ? h("p", {}, say("Spelled alike, and on record here:"), " ", h("b", { class: "code" }, twins.join(", "))) : "";
  return dialog(N_("No box with this lot is on record here"), [
    h("p", { class: "big code" }, lot),
    alike,
    h("p", {}, say("Scan the box again. If it is this number: confirm, and have the box received.")),
  ], N_("It is this number"), N_("Scan again"));
}

async function collect() {
  $("#drawn").disabled = true;
  const numbers = await ask("POST", "/api/v1/numbers", { kind: "S", count: 1 });
  const accession = numbers.json?.numbers?.[0];
  if (!numbers.ok || !accession) {
    $("#drawn").disabled = false;
    return verdict("warn", N_("No number could be had: try again"));
  }
  const { container, tests, item } = current();
  const data = { order: work.order, patient: work.patient, container, tests, priority: work.priority };
  data.supplies = [{ item, lot: lot.lot, quantity: 1 }];
  const became = await send("specimen.collected", accession, data);
  if (became.outcome === "refused") return verdict("bad", became.detail || N_("That did not work"));
  verdict("ok", N_("{accession} is collected"), { accession });
  $(".state", row()).replaceChildren(h("span", { class: "code" }, accession));
  unlabeled.unshift({ accession, container, serial: `${accession}-1`, number: draw });
  draw += 1;
  next();
}

async function readBack(code) {
  if (code !== tube.accession) {
    const miss = { kind: "label", expected: tube.accession, scanned: code, accession: tube.accession, order: work.order };
    const shown = [[N_("On the tube"), isAccession(code) ? code : say(opaque(code))], [N_("Expected"), tube.accession]];
    return red(N_("Wrong label"), shown, LOOKED, miss);
  }
  const became = await send("specimen.labeled", tube.accession, { label: tube.serial, scanned: code, patient: work.patient ?? undefined });
  if (became.outcome === "refused") return verdict("bad", became.detail || N_("That did not work"));
  verdict("ok", N_("{accession} is labeled"), { accession: code });
  if (tube.number !== undefined) $(`#draws [data-number="${tube.number}"]`).dataset.state = "ok";
  next();
}

async function reprint() {
  const mine = tube;
  mine.serial = (await printAgain(mine.accession)) ?? mine.serial;
}

async function notCollected() {
  const reason = h("select", { name: "reason", id: "reason" }, NOT_TAKEN.map((one) => h("option", { value: one }, say(one))));
  const form = await dialog(N_("Not collected"), [h("label", { for: "reason" }, say("Reason")), reason], N_("Not collected"));
  if (!form) return;
  await send("specimen.not-collected", work.order, { order: work.order, container: current().container, reason: form.get("reason") });
  $(".state", row()).textContent = say("Not collected");
  draw += 1;
  next();
}

startScanning(async (code) => {
  if (step === "patient") await checkPatient(code);
  else if (step === "lot") await checkLot(code);
  else if (step === "label") await readBack(code);
  else verdict("warn", N_("Nothing is to be scanned now"));
});
show("patient");
if (work.cancelled) verdict("bad", N_("This order was cancelled"));
