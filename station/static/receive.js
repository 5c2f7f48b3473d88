// Which bag is at hand.
import { ask } from "./dom.js";
import { verdict } from "./feedback.js";
import { startScanning } from "./scan.js";

startScanning(async (code) => {
  const answer = await ask("POST", "/receive", { scanned: code });
  if (answer.ok) {
    verdict("ok", "Found");
    location.assign(answer.json.path);
  } else if (answer.status === 0) verdict("warn", "No signal: try again");
  else verdict("bad", "This is no bag: scan its tote or manifest");
});
