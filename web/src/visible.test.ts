import { expect, test } from "vitest";
import { visible } from "./visible";

test.each([
  ["plain /etc/shadow", "plain /etc/shadow"],
  ["Grüße 漢字 😀", "Grüße 漢字 😀"],
  ["a\nb\x1b[31mc\x00", "a\\u{a}b\\u{1b}[31mc\\u{0}"],
  ["gpj.\u202eexe", "gpj.\\u{202e}exe"],
  ["zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"],
  ["line\u2028break", "line\\u{2028}break"],
  ["tag\u{e0041}", "tag\\u{e0041}"],
])("%j is shown as %j", (text, shown) => {
  expect(visible(text)).toBe(shown);
});
