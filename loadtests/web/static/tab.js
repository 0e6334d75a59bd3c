// Runs in Locust's own page: shows our page under the tab "Stale reads".
//
// Locust's UI draws the tab and selects it, but draws nothing below it. We watch which tab is
// selected, and show a frame with our page as the last thing in <main>, where nothing of Locust's
// is touched. The frame is as high as its page, so that only one thing scrolls.

const TITLE = "Stale reads";

const frame = document.createElement("iframe");
frame.id = "stale-reads";
frame.title = TITLE;
frame.hidden = true;
Object.assign(frame.style, { width: "100%", border: "0", display: "none" });
frame.addEventListener("load", () => {
  const page = frame.contentDocument?.querySelector("main");
  if (page) new ResizeObserver(fit).observe(page);
});

function fit() {
  const page = frame.contentDocument?.documentElement;
  if (page && !frame.hidden) frame.style.height = `${Math.ceil(page.getBoundingClientRect().height)}px`;
}

function isSelected() {
  const selected = document.querySelector('[role="tab"][aria-selected="true"]');
  return selected?.textContent.trim() === TITLE;
}

function show() {
  const main = document.querySelector("main");
  const isShown = main !== null && isSelected();
  if (isShown && !frame.src) frame.src = new URL("..", import.meta.url).href;
  if (isShown && frame.parentElement !== main) main.append(frame);
  if (frame.hidden === !isShown) return;
  // The page asks for data only while its frame is not hidden.
  frame.hidden = !isShown;
  frame.style.display = isShown ? "block" : "none";
  fit();
}

new MutationObserver(show).observe(document.getElementById("root") ?? document.body, {
  subtree: true,
  childList: true,
  attributeFilter: ["aria-selected"],
});
show();
