// Draws the blocks of Mermaid, in the colours of the page.
for (const code of document.querySelectorAll("code.language-mermaid")) {
  const diagram = document.createElement("div");
  diagram.className = "mermaid";
  diagram.textContent = code.textContent;
  code.parentElement.replaceWith(diagram);
}
const dark = document.documentElement.dataset.bsTheme === "dark";
mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "default" });
mermaid.run();
