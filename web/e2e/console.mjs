// Looks at the console in a real browser: signs in, waits until the page is
// live, says so, and then waits for the drill that the caller stages. The
// token comes on standard input. Usage: node e2e/console.mjs URL SCREENSHOT
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url, screenshot] = process.argv.slice(2);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const token = (await input.next()).value;

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
try {
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Before the sign-in the API answers 401, which the browser prints.
    if (message.type() === "error" && !message.text().includes("401")) complaints.push(message.text());
  });

  await page.goto(url);
  await page.getByLabel("Token").fill("not-the-token-at-all");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("status").getByText("live").waitFor();
  process.stdout.write("live\n");

  // Not one reload from here on: what appears was pushed.
  const stages = page.getByRole("table", { name: "Timeline" });
  for (const stage of ["syscall", "executed", "verified", "audited"]) {
    await stages.getByRole("cell", { name: stage, exact: true }).waitFor();
  }
  await page.getByRole("table", { name: "Actions" }).getByText("verified").first().waitFor();
  await page.getByRole("table", { name: "Alerts" }).getByText("Critical").first().waitFor();
  await page.screenshot({ path: screenshot, fullPage: true });
  if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join("; ")}`);

  // The session survives a reload, and no script can read it.
  await page.reload();
  await stages.waitFor();
  if ((await page.evaluate("document.cookie")) !== "") throw new Error("a script can read the session cookie");
  process.stdout.write("seen\n");
} catch (error) {
  await context.pages().at(-1)?.screenshot({ path: screenshot, fullPage: true });
  throw error;
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
