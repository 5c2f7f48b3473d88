// Which bag is at hand.
import { N_, ask } from "./dom.js";
import { verdict } from "./feedback.js";
import { startScanning } from "./scan.js";

startScanning(async (code) => {
  const answer = await ask("POST", "/receive", { scanned: code });
  if (answer.ok) {
    verdict("ok", N_("Found"));
    location.assign(answer.json.path);
  } else if (answer.status === 0) verdict("warn", N_("No signal: try again"));
  else verdict("bad", N_("This is no bag: scan its tote or manifest"));
});
