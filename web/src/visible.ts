/**
 * Shows text that an attacker may have written: control characters and those
 * that turn the direction of writing or take no room become their code points,
 * so that a name cannot pass for another.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (c) => {
    const code = c.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
