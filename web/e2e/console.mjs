// Looks at the console in a real browser: signs in, waits until the page is
// live, says so, and then waits for the drill that the caller stages. The
// token comes on standard input. Usage: node e2e/console.mjs URL SCREENSHOT
import { nextLine, say, withPage } from "./browser.mjs";

const [url, screenshot] = process.argv.slice(2);
const token = await nextLine();

await withPage(screenshot, async (page) => {
  await page.goto(url);
  await page.getByLabel("Token").fill("not-the-token-at-all");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("status").getByText("live").waitFor();
  say("live");

  // Not one reload from here on: what appears was pushed.
  const stages = page.getByRole("table", { name: "Timeline" });
  for (const stage of ["syscall", "executed", "verified", "audited"]) {
    await stages.getByRole("cell", { name: stage, exact: true }).waitFor();
  }
  await page.getByRole("table", { name: "Actions" }).getByText("verified").first().waitFor();
  await page.getByRole("table", { name: "Alerts" }).getByText("Critical").first().waitFor();
  await page.screenshot({ path: screenshot, fullPage: true });

  // The session survives a reload, and no script can read it.
  await page.reload();
  await stages.waitFor();
  if ((await page.evaluate("document.cookie")) !== "") throw new Error("a script can read the session cookie");
  say("seen");
});
