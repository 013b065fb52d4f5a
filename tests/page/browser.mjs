// A browser, and what it sees of a page.
//
// The browser is $CHROMIUM, or Debian's, or that of npm's @sparticuz/chromium.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.INSTALLED + "/");
const { chromium: driver } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

async function executable() {
  const found = [process.env.CHROMIUM, "/usr/bin/chromium"].find((path) => path && existsSync(path));
  if (found) return found;
  const { default: packed } = await import(pathToFileURL(require.resolve("@sparticuz/chromium")));
  return packed.executablePath();
}

export const browser = await driver.launch({
  executablePath: await executable(),
  // It opens files that are made here, and runs as root in CI.
  args: ["--no-sandbox", "--headless", "--disable-gpu", "--disable-dev-shm-usage"],
});

export async function axe(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(
    (values) => axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] }), RULES);
  return found.violations.map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 200)} ${one.nodes[0].failureSummary}`);
}

// `place` is the path of a file, or an address.
export async function open(place, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, ...options });
  const seen = { requests: [], dialogs: [], problems: [] };
  await page.route("**/*", (route) => {
    seen.requests.push(route.request().url());
    return route.continue();
  });
  page.on("dialog", (dialog) => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on("console", (message) => { if (message.type() === "error") seen.problems.push(message.text()); });
  page.on("pageerror", (error) => seen.problems.push(String(error)));
  await page.goto(place.startsWith("http:") ? place : pathToFileURL(place).href);
  return { page, seen };
}
