// Signs in at the console in a real browser through the issuer, which refuses at
// first. When it has said so it waits for a line on standard input.
// Usage: node e2e/signin.mjs URL NAME SCREENSHOT
import { nextLine, say, withPage } from "./browser.mjs";

const [url, name, screenshot] = process.argv.slice(2);
const place = "/?some=thing#a-place";

await withPage(screenshot, async (page, context) => {
  const issuer = page.getByRole("button", { name: /^Sign in with / });
  const here = () => {
    if (page.url() !== url + place) throw new Error(`the browser is at ${page.url()}`);
  };
  await page.goto(url + place);
  await issuer.click();
  const failure = page.getByRole("alert");
  await failure.getByText("<img src=x> not you").waitFor();
  if ((await failure.locator("img").count()) > 0) throw new Error("the issuer's text became a part of the page");
  here();
  say("refused");
  await nextLine();

  await issuer.click();
  await page.getByRole("status").getByText("live").waitFor();
  await page.getByText(name).waitFor();
  here();
  const session = (await context.cookies()).find((cookie) => cookie.name === "riposte_session");
  if (!session?.httpOnly || session.sameSite !== "Strict") throw new Error(`the session is ${JSON.stringify(session)}`);
  if ((await page.evaluate("document.cookie")) !== "") throw new Error("a script can read a cookie");

  // The session ends while somebody looks at the page.
  await context.clearCookies();
  await page.getByRole("dialog", { name: /session has ended/ }).waitFor();
  await page.getByRole("heading", { name: "Timeline" }).waitFor();
  await page.screenshot({ path: screenshot, fullPage: true });
  await issuer.click();
  await page.getByRole("status").getByText("live").waitFor();
  here();

  await page.getByRole("button", { name: "Sign out" }).click();
  await issuer.waitFor();
  say("out");
});
