// Starts the browser for what looks at the console.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** The next line of standard input. */
export const nextLine = async () => (await lines.next()).value;

/**
 * Gives a page to look at it, and a list of what it complained about. Whatever
 * happens, its last state is kept as the screenshot.
 */
export async function withPage(screenshot, look) {
  const profile = await mkdtemp(join(tmpdir(), "riposte-console-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    viewport: { width: 1280, height: 900 },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  context.setDefaultTimeout(90_000);
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      // Without a session the API answers 401, which the browser prints.
      if (message.type() === "error" && !message.text().includes("401")) complaints.push(message.text());
    });
    await look(page, context);
    if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join("; ")}`);
  } catch (error) {
    await context.pages().at(-1)?.screenshot({ path: screenshot, fullPage: true });
    throw error;
  } finally {
    await context.close();
    await rm(profile, { recursive: true, force: true });
    process.stdin.destroy(); // or node waits for more of it
  }
}

/** Says to whoever started this how far it is. */
export const say = (word) => process.stdout.write(`${word}\n`);
