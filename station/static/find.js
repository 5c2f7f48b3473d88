// The scanner of the home page and the search: any code leads to its page.
import { ask } from "./dom.js";
import { verdict } from "./feedback.js";
import { startScanning } from "./scan.js";

startScanning(async (code) => {
  const answer = await ask("POST", "/find", { code });
  if (answer.ok && answer.json.path) {
    verdict("ok", "Found");
    location.assign(answer.json.path);
  } else if (answer.status === 0) verdict("warn", "No signal: try again");
  else verdict("bad", "Nothing on record has this code");
});
