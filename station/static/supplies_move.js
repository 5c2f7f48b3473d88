// One movement after the other: scan a box, look at what it is, say how many.
import { $, $$, N_, ask, facts, h, say } from "./dom.js";
import { dialog, red, verdict } from "./feedback.js";
import { clean } from "./identifiers.js";
import { send } from "./queue.js";
import { startScanning } from "./scan.js";

const work = facts("work");
const TYPES = { receive: "received", use: "used", waste: "wasted", count: "counted", transfer: "transferred", send: "sent", recall: "recalled" };
const LOT_MAY_LACK = ["use", "waste", "send"];
let box = null;

async function look(code, item = "") {
  const answer = await ask("POST", `/supplies/scan?site=${work.site}`, { scanned: code, item });
  if (!answer.ok) return verdict("warn", answer.status === 0 ? N_("No signal: try again") : N_("That did not work"));
  if (answer.json.fault) return verdict("bad", answer.json.fault);
  box = answer.json;
  $("#box").hidden = false;
  $("#box-name").textContent = say(box.name);
  $("#box-item").textContent = box.item;
  $("#lot").value = box.lot;
  if ($("#expires")) $("#expires").value = box.expires ?? "";
  if ($("#unit")) $("#unit").textContent = `(${say(box.unit)})`;
  if ($("#quantity")) $("#quantity").value = work.act === "count" ? "" : String(box.count ?? 1);
  if ($("#no-lot")) $("#no-lot").checked = false;
  offerSent();
  showVariance();
  verdict("ok", box.name);
  if (["receive", "use", "transfer"].includes(work.act) && (box.notice || box.expired)) await stop();
}

const stop = () =>
  red(box.notice ? N_("This lot is recalled") : N_("This box has expired"), [[N_("Item"), say(box.name)], [N_("Lot"), box.lot], [N_("Expired"), box.expires ?? "–"]],
    N_("I put this box aside"), { kind: "lot", expected: box.item, scanned: box.lot });

/** What was sent here of this item: the one with the scanned lot is chosen. */
function offerSent() {
  const field = $("#sent-field");
  if (!field) return;
  field.hidden = !box.coming.length;
  const same = box.coming.find((one) => one.lot.trim().toUpperCase() === box.lot.trim().toUpperCase());
  const choices = box.coming.map((one) =>
    h("option", { value: one.reference, selected: one === same }, say("{n} sent by {site}, lot {lot}", { n: one.quantity, site: one.origin, lot: one.lot || "–" })));
  $("#sent-of").replaceChildren(h("option", { value: "" }, say("No: another delivery")), ...choices);
  if (same) $("#quantity").value = String(same.quantity);
}

function quantity() {
  const value = Number($("#quantity").value.trim().replace(",", "."));
  return $("#quantity").value.trim() !== "" && Number.isFinite(value) && value >= 0 ? value : null;
}

const nameless = () => Boolean($("#no-lot")?.checked);

function showVariance() {
  if (!box) return;
  const here = nameless() ? box.nameless : box.on_hand;
  $("#box-on-hand").textContent = here;
  $("#lot").disabled = nameless();
  if (work.act !== "count") return;
  const counted = quantity();
  const variance = counted === null ? null : counted - here;
  $("#variance").textContent = variance === null ? "" : say("Expected {n}, variance {v}", { n: here, v: `${variance > 0 ? "+" : ""}${variance}` });
  $("#reason-field").hidden = !variance;
}

function step(by) {
  $("#quantity").value = Math.max(0, (quantity() ?? 0) + by);
  showVariance();
}

function details(act) {
  const data = { lot: nameless() ? "" : clean($("#lot").value) };
  if (!data.lot && !nameless() && !LOT_MAY_LACK.includes(act)) return void $("#lot").focus();
  if (!data.lot && !nameless()) delete data.lot;
  if (act === "recall") {
    data.notice = $("#notice-text").value.trim();
    return data.notice ? data : void $("#notice-text").focus();
  }
  const many = quantity();
  if (many === null || (many === 0 && act !== "count")) return void $("#quantity").focus();
  data.quantity = many;
  if (act === "receive") {
    data.expires = $("#expires").value;
    if (!data.expires) return void $("#expires").focus();
    if ($("#order").value.trim()) data.order = $("#order").value.trim();
    if ($("#sent-of").value) data.sent = $("#sent-of").value;
  }
  if (["transfer", "send"].includes(act)) data.to = $("#to").value;
  if (act === "send" && $("#expected").value) data.expected = $("#expected").value;
  if (!$("#reason-field")?.hidden && $("#reason")) data.reason = $("#reason").value;
  return data;
}

/** Whether a receipt is booked in: true where nothing speaks against it, or a person says that it is right. */
async function undoubted(item, { lot = "", quantity: many, expires, sent = "" }) {
  const answer = await ask("POST", `/supplies/receipt?site=${work.site}`, { item, lot, quantity: many, expires, sent });
  if (!answer.ok) return verdict("warn", answer.status === 0 ? N_("No signal: try again") : N_("That did not work")), false;
  if (!answer.json.doubts.length) return true;
  const list = h("ul", { id: "doubts" }, answer.json.doubts.map((one) => h("li", {}, one)));
  return Boolean(await dialog(N_("Look again before it is booked in"), [list], N_("It is right: book it in"), N_("Back")));
}

async function enter(act, item, data) {
  const subject = act === "recall" ? `*/${item}` : `${work.site}/${item}`;
  const became = await send(`supply.${TYPES[act]}`, subject, data, { site: work.site });
  if (!["refused", "quarantined"].includes(became.outcome)) return true;
  verdict("bad", became.detail || N_("That did not work"));
  return false;
}

async function book(event) {
  event.preventDefault();
  const act = event.submitter?.dataset.act ?? work.act;
  const data = box && details(act);
  if (!data) return verdict("warn", N_("Something is still to be filled in"));
  if (act === "receive" && !(await undoubted(box.item, data))) return;
  $("#book").disabled = true;
  const done = await enter(act, box.item, data);
  $("#book").disabled = false;
  if (!done) return;
  verdict("ok", N_("Booked: {name}, lot {lot}"), { name: say(box.name), lot: data.lot || "–" });
  if (data.sent) $(`#sent [data-sent="${data.sent}"]`)?.remove();
  box = null;
  $("#box").hidden = true;
}

/** All that another site sent has come: one tap, unless something speaks against it. */
async function take(button) {
  const one = work.sent.find((each) => each.reference === button.dataset.sent);
  const data = { quantity: one.quantity, sent: one.reference };
  if (one.lot) data.lot = one.lot;
  if (one.expires) data.expires = one.expires;
  button.disabled = true;
  if (!(await undoubted(one.item, data)) || !(await enter("receive", one.item, data))) return void (button.disabled = false);
  verdict("ok", N_("Booked: {name}, lot {lot}"), { name: say(one.name), lot: one.lot || "–" });
  button.closest("li").remove();
}

for (const button of $$(".take")) button.addEventListener("click", () => take(button));
$("#box").addEventListener("submit", book);
$("#box").addEventListener("input", showVariance);
$("#less")?.addEventListener("click", () => step(-1));
$("#more")?.addEventListener("click", () => step(1));
$("#by-hand").addEventListener("submit", (event) => {
  event.preventDefault();
  look($("#pick-lot").value.trim() || $("#pick").value, $("#pick").value);
});
startScanning((code) => look(code));
