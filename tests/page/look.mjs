// Opens pages in Chromium and prints what was seen of each, as JSON. `look.mjs picture PAGE PNG` takes a picture of one.
//
// The browser is $CHROMIUM, or Debian's, or that of npm's @sparticuz/chromium.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.INSTALLED + "/");
const { chromium: driver } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
// Entries of a list are all alike, and axe takes minutes for thousands.
const REST = "article:nth-of-type(n+21), #columns li:nth-child(n+21)";
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

async function executable() {
  const found = [process.env.CHROMIUM, "/usr/bin/chromium"].find((path) => path && existsSync(path));
  if (found) return found;
  const { default: packed } = await import(pathToFileURL(require.resolve("@sparticuz/chromium")));
  return packed.executablePath();
}

const browser = await driver.launch({
  executablePath: await executable(),
  // It opens files that are made here, and runs as root in CI.
  args: ["--no-sandbox", "--headless", "--disable-gpu", "--disable-dev-shm-usage"],
});

async function axe(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(
    (values) => axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] }), RULES);
  return found.violations.map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 200)} ${one.nodes[0].failureSummary}`);
}

const state = () => ({
  one: document.body.classList.contains("one"),
  focus: document.activeElement?.id || document.activeElement?.tagName,
  roles: [...document.querySelectorAll("[data-role]")].filter((item) => item.offsetParent).length,
  articles: [...document.querySelectorAll("article")].filter((item) => item.offsetParent).length,
  lines: document.querySelectorAll("#lines path").length,
  status: document.getElementById("shown").textContent,
  wide: document.scrollingElement.scrollWidth > window.innerWidth,
});

async function open(file, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, ...options });
  const seen = { requests: [], dialogs: [], problems: [] };
  await page.route("**/*", (route) => {
    seen.requests.push(route.request().url());
    return route.continue();
  });
  page.on("dialog", (dialog) => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on("console", (message) => { if (message.type() === "error") seen.problems.push(message.text()); });
  page.on("pageerror", (error) => seen.problems.push(String(error)));
  await page.goto(pathToFileURL(file).href);
  return { page, seen };
}

// What axe-core finds in the map by light and dark, and in the section of a role.
async function accessible(file) {
  const { page } = await open(file);
  await page.evaluate((rest) => document.querySelectorAll(rest).forEach((item) => item.remove()), REST);
  const found = { light: await axe(page) };
  await page.emulateMedia({ colorScheme: "dark" });
  found.dark = await axe(page);
  await page.evaluate(() => { location.hash = "#role-0"; });
  await page.waitForFunction(() => document.body.classList.contains("one"));
  found.role = await axe(page);
  await page.close();
  return found;
}

async function look(file) {
  const { page, seen } = await open(file);
  const shown = { first: await page.evaluate(state), axe: await accessible(file) };
  await page.fill("#search", "octo-org");
  shown.searched = await page.evaluate(state);
  await page.fill("#search", "");
  await page.locator("[data-node^=s] button").first().click();
  shown.chosen = await page.evaluate(state);
  await page.locator("[data-node^=s] button").first().click();
  // By keyboard alone, from the search to the first role, in, and back.
  await page.focus("#search");
  for (let tabs = 0; tabs < 2000; tabs += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.matches("[data-role] a"))) break;
  }
  shown.pointed = await page.evaluate(state);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.body.classList.contains("one"));
  shown.inRole = await page.evaluate(state);
  await page.keyboard.press("Shift+Tab");
  await page.locator("article:target .back a").focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.body.classList.contains("one"));
  shown.back = await page.evaluate(state);
  await page.emulateMedia({ media: "print" });
  shown.printed = { ...(await page.evaluate(state)), controls: await page.isVisible("#controls") };
  await page.emulateMedia({ media: "screen" });
  await page.setViewportSize({ width: 320, height: 600 });
  shown.narrow = await page.evaluate(state);
  shown.text = await page.evaluate(() => document.querySelector("#columns").textContent);
  await page.close();
  return { ...shown, ...seen };
}

async function picture(file, into) {
  const { page } = await open(file, { viewport: { width: 1100, height: 620 } });
  const first = page.locator("[data-role] a").first();
  await first.hover();
  await page.screenshot({ path: into });
}

const [command, ...files] = process.argv.slice(2);
if (command === "picture") {
  await picture(...files);
} else {
  const looked = {};
  for (const file of [command, ...files]) looked[file] = await look(file);
  console.log(JSON.stringify(looked));
}
await browser.close();
