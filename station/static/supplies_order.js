// Notes what was ordered.
import { $$, N_, moment, say } from "./dom.js";
import { verdict } from "./feedback.js";
import { send } from "./queue.js";

for (const button of $$(".ordered"))
  button.addEventListener("click", async () => {
    button.disabled = true;
    const { subject, quantity, days } = button.dataset;
    const expected = moment(new Date(Date.now() + Number(days) * 864e5)).slice(0, 10);
    const became = await send("supply.ordered", subject, { quantity: Number(quantity), expected }, { site: subject.split("/")[0] });
    if (["refused", "quarantined"].includes(became.outcome)) {
      button.disabled = false;
      return verdict("bad", became.detail || N_("That did not work"));
    }
    button.textContent = say("Noted");
    verdict("ok", N_("Noted as ordered: {item}"), { item: subject });
  });
