// A scanned tube leads to its results.
import { verdict } from "./feedback.js";
import { isAccession } from "./identifiers.js";
import { startScanning } from "./scan.js";

startScanning((code) => {
  if (!isAccession(code)) return verdict("bad", "This is no tube");
  verdict("ok", "Found");
  location.assign(`/results/${code}`);
});
