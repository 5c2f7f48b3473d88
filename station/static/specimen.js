// A specimen's page: its label can be printed again. A tube that has not left is then scanned back where it was collected.
import { $ } from "./dom.js";
import { printAgain } from "./reprint.js";

const button = $("#print-again");
button?.addEventListener("click", async () => {
  if (await printAgain(button.dataset.accession)) location.assign(button.dataset.next);
});
