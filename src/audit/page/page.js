
"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const nodes = new Map(all("[data-node]").map((item) => [item.dataset.node, item]));
const words = (item) => item.textContent.toLowerCase();
const roles = all("[data-role]").map((item) => ({
  item,
  grade: item.dataset.grade,
  links: item.dataset.links.split(" ").filter((name) => nodes.has(name)),
}));
for (const role of roles) role.words = [role.item, ...role.links.map((name) => nodes.get(name))].map(words).join("\n");
// More lines than these show nothing.
const MOST_LINES = 300;
const form = byId("controls"), search = byId("search"), lines = byId("lines"), columns = byId("columns");
let pointed = null;

const pressed = () => all("button[aria-pressed=true]", columns).map((button) => button.parentElement.dataset.node);

function filter() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const grades = new Set(all("input:checked", form).map((input) => input.value));
  const chosen = pressed();
  const seen = new Set(chosen);
  let count = 0;
  for (const role of roles) {
    const shown = grades.has(role.grade) && wanted.every((word) => role.words.includes(word)) &&
      chosen.every((name) => role.links.includes(name));
    role.item.hidden = !shown;
    if (shown) {
      count += 1;
      role.links.forEach((name) => seen.add(name));
    }
  }
  for (const [name, item] of nodes) item.hidden = !seen.has(name);
  byId("shown").textContent = `${count} of ${roles.length} roles shown`;
  draw();
}

function draw() {
  const shown = roles.filter((role) => !role.item.hidden);
  const all = shown.reduce((sum, role) => sum + role.links.length, 0) <= MOST_LINES;
  const lit = (role, name) => pointed !== null && (pointed === role.item || pointed === nodes.get(name));
  const frame = columns.getBoundingClientRect();
  const paths = [];
  for (const role of shown) {
    for (const name of role.links) {
      if (!all && !lit(role, name)) continue;
      const [from, to] = name[0] === "s" ? [nodes.get(name), role.item] : [role.item, nodes.get(name)];
      const [a, b] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
      const [x1, y1] = [a.right - frame.left, (a.top + a.bottom) / 2 - frame.top];
      const [x2, y2] = [b.left - frame.left, (b.top + b.bottom) / 2 - frame.top];
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`);
      path.setAttribute("class", `${role.grade} ${lit(role, name) ? "lit" : ""}`);
      paths.push(path);
    }
  }
  lines.replaceChildren(...paths);
}

function point(item) {
  if (item === pointed) return;
  pointed = item;
  for (const role of roles) {
    const near = role.links.some((name) => nodes.get(name) === item);
    role.item.classList.toggle("lit", near || role.item === item);
  }
  const of = roles.find((role) => role.item === item);
  for (const [name, node] of nodes) node.classList.toggle("lit", node === item || (of?.links.includes(name) ?? false));
  draw();
}

function turn() {
  const role = location.hash.startsWith("#role-") ? byId(location.hash.slice(1)) : null;
  document.body.classList.toggle("one", role !== null);
  if (role) role.focus();
  else draw();
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", filter);
columns.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  filter();
});
for (const kind of ["pointerover", "focusin"]) {
  columns.addEventListener(kind, (event) => point(event.target.closest("#columns li")));
}
for (const kind of ["pointerleave", "focusout"]) columns.addEventListener(kind, () => point(null));
addEventListener("hashchange", turn);
addEventListener("resize", draw);
filter();
turn();
