// The identifiers and their check digits: the same rule as models/rules/identifiers.py (ISO 7064 MOD 97-10).

import { N_ } from "./dom.js";

const LETTER = { S: "28", M: "22", T: "29", B: "11" };
const FORM = /^([SMTB])([0-9]{10,14})$/;
const LONGEST = 200;

/** Whether this is one of our identifiers (of this kind, if one is given) with the right check digits. */
export function verify(value, kind) {
  const form = FORM.exec(value);
  if (!form || (kind && form[1] !== kind)) return false;
  let rest = 0;
  for (const digit of LETTER[form[1]] + form[2]) rest = (rest * 10 + Number(digit)) % 97;
  const check = Number(form[2].slice(-2));
  return rest === 1 && check >= 2 && check <= 98;
}

function outside(value) {
  const pattern = document.body.dataset.outside;
  try {
    return Boolean(pattern) && new RegExp(`^(?:${pattern})$`).test(value);
  } catch {
    return false;
  }
}

/** A specimen's accession number: ours, or of the configured pattern of another lab. */
export const isAccession = (value) => verify(value, "S") || outside(value);

/** What a scanner gave, without the line end and the symbology sign of Code 128 and Data Matrix. */
export function clean(raw) {
  const text = raw.replace(/^[\s\0]+|[\s\0]+$/g, "").slice(0, LONGEST + 1).replace(/^\](C0|d1|Q1)/, "");
  return FORM.test(text.toUpperCase()) ? text.toUpperCase() : text;
}

/** "" for a scan that can be looked at; else why not. Only what no code of ours can be is refused here. */
export function fault(code) {
  if (!code) return N_("Nothing was scanned");
  if (code.length > LONGEST) return N_("This is no code of ours: too long");
  // group separators (FNC1) are part of GS1 codes
  if (/[\u0000-\u001c\u001e\u001f\u007f]/.test(code)) return N_("This is no code of ours: it has control characters");
  if (/^[SMTB][0-9]{8,16}$/.test(code) && !verify(code) && !outside(code)) return N_("The check digits are wrong: scan it again");
  return "";
}

/** A scanned value that may be kept and sent: our own numbers only, since others can name a patient. */
export const opaque = (code) => (verify(code) || outside(code) ? code : N_("(not one of our numbers)"));
