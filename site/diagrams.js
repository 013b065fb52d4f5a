// Draws the blocks of Mermaid in the colours of the page.
const SMALLEST = 640;
for (const code of document.querySelectorAll("code.language-mermaid")) {
  const diagram = document.createElement("div");
  diagram.className = "mermaid";
  diagram.textContent = code.textContent;
  code.parentElement.replaceWith(diagram);
}
const dark = document.documentElement.dataset.bsTheme === "dark";
mermaid.initialize({
  startOnLoad: false,
  theme: dark ? "dark" : "default",
  themeVariables: dark ? { edgeLabelBackground: "#333" } : {},
  sequence: { wrap: true, actorMargin: 30, width: 140 },
});
mermaid.run().finally(() => {
  // On a phone a large diagram scrolls, so that its text stays readable.
  for (const { style } of document.querySelectorAll(".mermaid svg")) {
    style.minWidth = `${Math.min(parseFloat(style.maxWidth) || SMALLEST, SMALLEST)}px`;
  }
});
// What scrolls is reached by the keyboard.
const sized = new ResizeObserver((changes) => {
  for (const { target } of changes) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});
addEventListener("load", () => {
  for (const region of document.querySelectorAll("pre > code, table, .mermaid")) sized.observe(region);
});
// Another choice of colours draws the diagrams again.
if (document.querySelector(".mermaid")) {
  for (const choice of document.querySelectorAll("[data-bs-theme-value]")) {
    choice.addEventListener("click", () => location.reload());
  }
}
