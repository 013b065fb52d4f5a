// Opens pages of the site in light, in dark and on a phone, and prints what was seen of each, as JSON. Pictures of them go to a
// folder: `look.mjs FOLDER ADDRESS…`. The first page is searched, too.
import path from "node:path";
import { axe, browser, open } from "../page/browser.mjs";

const WAYS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
};
const UNDRAWN = "code.language-mermaid, .mermaid:not([data-processed])";

const state = () => ({
  scheme: document.documentElement.dataset.bsTheme,
  wide: document.scrollingElement.scrollWidth > window.innerWidth,
  diagrams: document.querySelectorAll(".mermaid").length,
  drawn: document.querySelectorAll(".mermaid svg[aria-roledescription]:not([aria-roledescription=error])").length,
});

async function look(address, way, into) {
  const { page, seen } = await open(address, WAYS[way]);
  await page.waitForFunction((undrawn) => !document.querySelector(undrawn), UNDRAWN);
  const found = await page.evaluate(state);
  const name = path.basename(new URL(address).pathname, ".html");
  await page.screenshot({ path: path.join(into, `${name}-${way}.png`) });
  // The size of a window changes nothing that axe looks at.
  found.axe = way === "phone" ? [] : await axe(page);
  await page.close();
  return { ...found, ...seen };
}

// The titles of what a search finds. It waits for its index by itself if the words are in the address.
async function search(address, words) {
  const { page } = await open(`${address}?q=${words}`);
  const found = page.locator("#mkdocs-search-results article h3");
  await found.first().waitFor({ state: "attached" });
  const titles = await found.allTextContents();
  await page.close();
  return titles;
}

const [into, ...addresses] = process.argv.slice(2);
const looked = { found: await search(addresses[0], "thumbprint"), pages: {} };
for (const address of addresses) {
  looked.pages[address] = {};
  for (const way of Object.keys(WAYS)) looked.pages[address][way] = await look(address, way, into);
}
console.log(JSON.stringify(looked));
await browser.close();
