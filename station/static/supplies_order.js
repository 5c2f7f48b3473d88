// Notes what was ordered, and what of it will not come.
import { $$, N_, h, moment, say } from "./dom.js";
import { dialog, verdict } from "./feedback.js";
import { send } from "./queue.js";

const REASONS = [N_("The supplier can't deliver"), N_("Ordered twice"), N_("Not needed any more"), N_("Lost on the way")];
const site = (subject) => subject.split("/")[0];

/** A number of our own, so that the order can be received against and closed: nobody has to make one up. */
const orderNumber = () => `O-${moment().slice(0, 10).replaceAll("-", "")}-${crypto.randomUUID().slice(0, 6)}`.toUpperCase();

async function booked(button, sent) {
  button.disabled = true;
  const became = await sent;
  if (!["refused", "quarantined"].includes(became.outcome)) return true;
  button.disabled = false;
  verdict("bad", became.detail || N_("That did not work"));
  return false;
}

async function noteOrder(button) {
  const { subject, quantity, days } = button.dataset;
  const number = h("input", { name: "order", id: "order", required: true, maxlength: 60, autocomplete: "off", value: orderNumber() });
  const amount = h("input", { name: "quantity", id: "amount", required: true, inputmode: "decimal", maxlength: 9, autocomplete: "off", value: quantity });
  const day = h("input", { name: "expected", id: "expected", type: "date", required: true, value: moment(new Date(Date.now() + Number(days) * 864e5)).slice(0, 10) });
  const form = await dialog(N_("Note an order"), [
    h("p", { class: "big" }, subject),
    h("div", { class: "field" }, h("label", { for: "amount" }, say("How many?")), amount),
    h("div", { class: "field" }, h("label", { for: "expected" }, say("Expected on")), day),
    h("div", { class: "field" }, h("label", { for: "order" }, say("Order number")), number),
  ], N_("Ordered"));
  if (!form) return;
  const many = Number(form.get("quantity").trim().replace(",", "."));
  if (!Number.isFinite(many) || many <= 0) return verdict("warn", N_("Something is still to be filled in"));
  const data = { quantity: many, expected: form.get("expected"), order: form.get("order").trim() };
  if (!(await booked(button, send("supply.ordered", subject, data, { site: site(subject) })))) return;
  button.textContent = say("Noted");
  verdict("ok", N_("Noted as ordered: {item}"), { item: subject });
}

async function closeOrder(button) {
  const { subject, order } = button.dataset;
  const reason = h("select", { name: "reason", id: "reason" }, REASONS.map((one) => h("option", { value: one }, say(one))));
  const form = await dialog(N_("What is still open will not come"), [
    h("p", { class: "big" }, subject, " ", h("span", { class: "code" }, order)),
    h("div", { class: "field" }, h("label", { for: "reason" }, say("Reason")), reason),
  ], N_("Close the order"));
  if (!form) return;
  const data = { order, reason: form.get("reason") };
  if (!(await booked(button, send("supply.order-closed", subject, data, { site: site(subject) })))) return;
  button.textContent = say("Closed");
  verdict("ok", N_("The order is closed: {order}"), { order });
}

for (const button of $$(".ordered")) button.addEventListener("click", () => noteOrder(button));
for (const button of $$(".close")) button.addEventListener("click", () => closeOrder(button));
