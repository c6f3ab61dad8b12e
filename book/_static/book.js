// What a page does beyond reading. Everything can be read, opened and reached without it.
"use strict";

const root = document.documentElement;

// Colours: as the system, light, dark, and round again. The choice is kept.
const themes = [["", "as the system"], ["light", "light"], ["dark", "dark"]];
const themeButton = document.querySelector(".theme-button");
const themeName = document.querySelector("[data-theme-name]");

function showTheme() {
  const current = themes.find(([theme]) => theme === root.dataset.theme) ?? themes[0];
  themeName.textContent = current[1];
  themeButton.title = `Colours: ${current[1]}`;
}

themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  const at = themes.findIndex(([theme]) => theme === (root.dataset.theme ?? ""));
  root.dataset.theme = themes[(at + 1) % themes.length][0];
  try { localStorage.theme = root.dataset.theme; } catch { /* a browser may refuse to store */ }
  showTheme();
});
showTheme();

// "/" and Ctrl+K go to the search field.
const field = document.querySelector(".find input");
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
  const ctrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
  if (slash || ctrlK) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});

// The contents begin where the reader is.
const contents = document.getElementById("contents");
const here = contents.querySelector("[aria-current='page']");
function showHere() {
  if (here) contents.scrollTop = here.offsetTop - contents.clientHeight / 3;
}
contents.addEventListener("toggle", showHere);
showHere();

// A link to a place on this page closes the contents that cover it.
contents.addEventListener("click", (event) => {
  if (event.target.closest("a[href^='#']") && contents.matches(":popover-open")) {
    contents.hidePopover();
  }
});

// The contents mark the section that is being read.
const links = new Map(
  [...document.querySelectorAll(".nav-sections a")].map((a) => [a.hash.slice(1), a]));
const sections = [...document.querySelectorAll("article section[id]")].filter((s) => links.has(s.id));
function markSection() {
  const line = innerHeight / 3;
  const current = sections.findLast((section) => section.getBoundingClientRect().top < line);
  for (const [id, link] of links) {
    if (id === current?.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
if (sections.length) {
  let waiting = false;
  document.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; markSection(); });
  }, { passive: true });
  markSection();
}

// What is too wide for the screen scrolls inside its box: the keyboard must reach the box.
const wide = [...document.querySelectorAll("article pre, .pst-scrollable-table-container, .cell_output .text_html, .katex-display")];
function reachable() {
  // First all that is read, then all that is written: in turns, each box would cost a layout.
  const scrolls = wide.map((box) => box.scrollWidth > box.clientWidth + 1);
  wide.forEach((box, i) => {
    if (scrolls[i] === (box.tabIndex === 0) && box.style.overflowX) return;
    box.style.overflowX = scrolls[i] ? "auto" : "hidden"; // half a pixel too much is no stop for Tab
    if (scrolls[i]) {
      const what = box.matches("pre") ? "Code" : box.matches(".katex-display") ? "Formula" : "Table";
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", `${what}, scrolls sideways`);
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  });
}
new ResizeObserver(reachable).observe(document.body);
document.fonts?.ready.then(reachable);
document.addEventListener("toggle", reachable, true);
document.addEventListener("change", reachable); // another tab

// Code can be copied, where the browser lets a page do so.
if (navigator.clipboard) {
  for (const code of document.querySelectorAll(".cell_input .highlight, .colab .highlight")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy this code");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.querySelector("pre").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    code.append(button);
  }
}

// On paper every fold is open; what was closed closes again.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
});

// A link to something inside a fold opens the fold.
function unfold() {
  if (!location.hash) return;
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target?.closest("details");
  if (fold && !fold.open) {
    fold.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", unfold);
unfold();
