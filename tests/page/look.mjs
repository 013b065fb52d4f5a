// Opens pages in Chromium and prints what was seen of each, as JSON. `look.mjs picture PAGE PNG` takes a picture of one.
import { axe, browser, open } from "./browser.mjs";

// Entries of a list are all alike, and axe takes minutes for thousands.
const REST = "article:nth-of-type(n+21), #columns li:nth-child(n+21)";

const state = () => ({
  one: document.body.classList.contains("one"),
  focus: document.activeElement?.id || document.activeElement?.tagName,
  roles: [...document.querySelectorAll("[data-role]")].filter((item) => item.offsetParent).length,
  articles: [...document.querySelectorAll("article")].filter((item) => item.offsetParent).length,
  lines: document.querySelectorAll("#lines path").length,
  status: document.getElementById("shown").textContent,
  wide: document.scrollingElement.scrollWidth > window.innerWidth,
});

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
