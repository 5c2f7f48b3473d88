// The courier's pick-up. Works without a signal: the bag, what was scanned of it and every unsent scan are kept on the
// phone, each tube's scan and its mark together, so that a page that dies in between neither loses nor duplicates one.

import { $, N_, ask, h, many, say } from "./dom.js";
import { dialog, red, verdict } from "./feedback.js";
import { clean, isAccession, verify } from "./identifiers.js";
import { dropNote, keepNote, readNote, record } from "./queue.js";
import { prompt, startScanning } from "./scan.js";

document.body.dataset.offline = "1";
let bags = [];
let bag = null; // {key, step, manifest, origin, tubes, seal, released_by, closed_with, temperature_c, scanned, extra, decided}

async function load() {
  const answer = await ask("GET", "/pick-up/bags");
  if (answer.ok) await keepNote({ key: "bags", badge: document.body.dataset.badge, bags: answer.json });
  const kept = await readNote("bags");
  bags = kept?.badge === document.body.dataset.badge ? kept.bags : [];
  const mine = await readNote("bag");
  bag = mine?.badge === document.body.dataset.badge ? mine : null;
  draw();
}

let refused = []; // tubes whose scan the station has refused
document.addEventListener("labtrail:unsent", ({ detail }) => {
  const changed = detail.subjects.join() !== refused.join();
  refused = detail.subjects;
  if (changed && bag) draw();
});

const left = () => bag.tubes.filter((one) => !bag.scanned.includes(one) && !bag.decided[one]);

function button(text, act, kind = "quiet", id = null) {
  return h("button", { type: "button", class: kind, id, onclick: act }, say(text));
}

const PROMPTS = {
  releaser: N_("Scan the badge of who hands the bag over"),
  seal: N_("Scan the seal of the bag"),
  temperature: N_("Temperature in the bag?"),
  tubes: N_("Scan each tube"),
  confirm: N_("Hand-over: scan the same badge again to confirm"),
};

function draw() {
  $("#counts").hidden = !bag || !["tubes", "confirm"].includes(bag.step);
  $("#title").textContent = bag ? say("Bag {manifest}", { manifest: bag.manifest }) : say("Pick up");
  prompt(bag ? PROMPTS[bag.step] : N_("Scan the bag: its manifest or tote"));
  $("#act").replaceChildren(...(bag ? acts[bag.step]() : []));
  if (!bag) return drawBags();
  $("#taken").textContent = bag.scanned.length;
  $("#unaccounted").textContent = left().length;
  $("#extra").textContent = bag.extra.length;
  drawTubes();
}

function drawBags() {
  $("#list-title").textContent = say("Bags that wait for you");
  const row = (one) => h("li", {}, h("div", { class: "item" }, h("span", { class: "big code" }, one.manifest),
    h("span", {}, `${one.origin ?? "?"} → ${one.destination ?? "?"}`), h("span", { class: "end" }, many(one.tubes.length, "1 tube", "{n} tubes"))));
  $("#list").replaceChildren(bags.length ? h("ul", { class: "list" }, bags.map(row)) : h("p", { class: "empty" }, say("No bag is known here: scan one all the same")));
}

function drawTubes() {
  $("#list-title").textContent = say("Tubes");
  const row = (tube, state, text, ...more) => h("li", { "data-state": state, "data-tube": tube }, h("div", { class: "item" }, h("span", { class: "code" }, tube), h("span", {}, say(text)), h("span", { class: "end row" }, more)));
  const open = left().map((tube) => row(tube, "", bag.step === "confirm" ? N_("missing: decide") : N_("not yet scanned"), ...(bag.step === "confirm" ? [
    button(N_("Not in the bag"), () => missing(tube)), button(N_("Stays here"), () => decide(tube, N_("stays here")))] : [])));
  const decided = Object.entries(bag.decided).map(([tube, what]) => row(tube, "missing", what));
  const extra = [...bag.extra].reverse().map((tube) => row(tube, "extra", N_("extra: not on the manifest")));
  const good = bag.scanned.filter((tube) => !bag.extra.includes(tube)).reverse();
  const taken = good.map((tube) => (refused.includes(tube) ? row(tube, "refused", N_("refused: see the unsent scans")) : row(tube, "ok", N_("taken"))));
  $("#list").replaceChildren(h("ol", { class: "list tubes" }, open, decided, extra, taken));
}

const acts = {
  releaser: () => [button(N_("Another bag"), leave)],
  seal: () => [button(N_("The bag has no seal"), () => go("temperature"))],
  temperature: () => {
    const field = h("input", { id: "temperature", inputmode: "decimal", maxlength: 6, autocomplete: "off", "aria-label": say("Temperature, °C") });
    const take = () => {
      const value = field.value.trim().replace(",", ".");
      if (value && !/^-?\d{1,3}(\.\d)?$/.test(value)) return verdict("bad", N_("This is no temperature"));
      if (value) bag.temperature_c = Number(value);
      go("tubes");
    };
    return [h("div", { class: "row" }, h("div", { class: "grow" }, field), button(N_("Go on"), take, "", "temperature-go"), button(N_("Not measured"), () => go("tubes"), "quiet", "not-measured"))];
  },
  tubes: () => [button(N_("The bag is complete"), () => go("confirm"), "wide", "complete")],
  confirm: () => [h("p", { class: "big" }, say("You take {n} tubes", { n: bag.scanned.length })), button(N_("Back to scanning"), () => go("tubes"))],
};

async function go(step) {
  bag.step = step;
  await keepNote(bag);
  draw();
}

async function leave() {
  bag = null;
  await dropNote("bag");
  await load();
}

const decide = (tube, what) => {
  bag.decided[tube] = what;
  return go(bag.step);
};

async function missing(tube) {
  const form = await dialog(N_("Not in the bag"), [h("p", { class: "big code" }, tube), h("p", {}, say("It was looked for in the bag and beside it, and is not there."))], N_("Report it missing"));
  if (!form) return;
  bag.decided[tube] = N_("reported missing");
  await record("specimen.missing", tube, { manifest: bag.manifest }, { site: bag.origin, note: bag });
  draw();
}

async function openBag(code) {
  if (!verify(code, "M") && !verify(code, "T")) return verdict("bad", N_("This is no bag: scan its manifest or tote"));
  const known = bags.find((one) => one.manifest === code || one.tote === code);
  if (!known && code.startsWith("T")) return verdict("bad", N_("This tote is not known here: scan the manifest"));
  const plain = { manifest: code, origin: null, tubes: [], seal: null };
  bag = { ...(known ?? plain), key: "bag", badge: document.body.dataset.badge, scanned: [], extra: [], decided: {} };
  verdict("ok", known ? N_("{n} tubes should be in it") : N_("This phone has no list of this bag: all tubes are taken as they come"), { n: bag.tubes.length });
  await go("releaser");
}

async function releaser(code) {
  if (!verify(code, "B")) return verdict("bad", N_("This is no badge"));
  if (code === document.body.dataset.badge) return verdict("bad", N_("This is your own badge: the other person's is needed"));
  bag.released_by = code;
  verdict("ok", N_("Badge taken"));
  await go("seal");
}

async function seal(code) {
  bag.closed_with = clean(code).slice(0, 40);
  if (bag.seal && bag.seal !== bag.closed_with) {
    const shown = [[N_("On the bag"), bag.closed_with], [N_("Expected"), bag.seal]];
    await red(N_("Wrong seal"), shown, N_("I showed it to the clinic: the scan is on record as it is"), { kind: "tote", expected: bag.manifest, scanned: bag.closed_with });
  } else verdict("ok", N_("Seal taken"));
  await go("temperature");
}

async function tube(code) {
  if (!isAccession(code)) return verdict("bad", N_("This is no tube"));
  if (bag.scanned.includes(code)) return verdict("warn", N_("{accession}: scanned twice, counted once"), { accession: code });
  const known = bag.tubes.includes(code);
  const data = { manifest: bag.manifest, released_by: bag.released_by };
  // a bag that was opened for a straggler has a new seal, which casts no doubt on the tubes that went in before
  const replaced = bag.closed_with === bag.seal && (bag.seals?.[code] ?? bag.seal) !== bag.seal;
  if (bag.closed_with && !replaced) data.seal = bag.closed_with;
  if (bag.temperature_c !== undefined) data.temperature_c = bag.temperature_c;
  bag.scanned.push(code);
  delete bag.decided[code];
  if (!known && bag.tubes.length) bag.extra.push(code);
  const { answer } = await record("specimen.picked-up", code, data, { site: bag.origin ?? undefined, note: bag });
  verdict(known || !bag.tubes.length ? "ok" : "warn", known || !bag.tubes.length ? N_("{accession} is taken") : N_("{accession} is extra: not on the manifest"), { accession: code });
  draw();
  // not waited for: without a signal the next scan must be taken at once
  answer.then((became) => became.outcome === "refused" && verdict("bad", became.detail || N_("That did not work")));
}

async function confirm(code) {
  if (left().length) return verdict("warn", N_("Decide on every missing tube first"));
  if (code !== bag.released_by) return verdict("bad", N_("This is not the badge of who hands over"));
  verdict("ok", N_("Both have confirmed: {n} tubes are yours"), { n: bag.scanned.length });
  await leave();
}

const steps = { releaser, seal, tubes: tube, confirm };
startScanning(async (code) => {
  if (!bag) return openBag(code);
  if (steps[bag.step]) return steps[bag.step](code);
  verdict("warn", N_("Not now: decide first"));
});
addEventListener("online", () => bag || load());
load();
