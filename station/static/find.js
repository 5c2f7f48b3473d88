// The scanner of the home page and the search: any code leads to its page.
import { N_, ask } from "./dom.js";
import { verdict } from "./feedback.js";
import { startScanning } from "./scan.js";

startScanning(async (code) => {
  const answer = await ask("POST", "/find", { code });
  if (answer.ok && answer.json.path) {
    verdict("ok", N_("Found"));
    location.assign(answer.json.path);
  } else if (answer.status === 0) verdict("warn", N_("No signal: try again"));
  else verdict("bad", N_("Nothing on record has this code"));
});
